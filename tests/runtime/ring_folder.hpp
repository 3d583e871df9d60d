#pragma once
#include <weft/runtime/ring_image.hpp>

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace weft::testing {

/// A private folder for ring files, gone at its end.
class RingFolder {
public:
    RingFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "weft-rings-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) { ADD_FAILURE() << "no folder " << name; }
        path_ = name;
    }
    RingFolder(const RingFolder&) = delete;
    RingFolder& operator=(const RingFolder&) = delete;
    ~RingFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(path_)) {
            names.push_back(entry.path().filename().string());
        }
        std::sort(names.begin(), names.end());
        return names;
    }
    [[nodiscard]] std::vector<std::string> rings() const {
        auto names = files();
        std::erase_if(names, [](const std::string& name) { return !name.ends_with(".ring"); });
        return names;
    }

private:
    std::string path_;
};

/// Reads an image from memory. Lifetime: `bytes`.
inline RingImage::ReadAt reader_of(std::string_view bytes) {
    return [bytes](std::uint64_t place, std::span<std::byte> to) {
        if (place > bytes.size() || to.size() > bytes.size() - place) { return false; }
        if (!to.empty()) { std::memcpy(to.data(), bytes.data() + place, to.size()); }
        return true;
    };
}

} // namespace weft::testing
