#pragma once
#include <weft/runtime/diagnostics.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace weft::testing {

/// Lines of the process's log while it lives.
class DiagnosticLines {
public:
    DiagnosticLines() {
        diagnostics().set_handler([this](const Diagnostic& line) {
            const std::lock_guard lock(mutex_);
            lines_.emplace_back(line.message);
        });
    }
    ~DiagnosticLines() { diagnostics().set_handler({}); }
    [[nodiscard]] std::vector<std::string> lines() {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

private:
    std::mutex mutex_;
    std::vector<std::string> lines_;
};

/// A process file system of the test's own.
class FakeProc {
public:
    FakeProc() {
        std::string name = (std::filesystem::temp_directory_path() / "weft-proc-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) { throw std::runtime_error("mkdtemp"); }
        root_ = name;
        std::filesystem::create_directories(root_ / "self" / "fd");
        std::filesystem::create_directories(root_ / "net");
    }
    ~FakeProc() {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(root_ / name) << text;
    }
    [[nodiscard]] std::string path() const { return root_.string(); }

private:
    std::filesystem::path root_;
};

} // namespace weft::testing
