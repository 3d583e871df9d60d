// Command lines of the shop's programs: `--name value` pairs and --help.
#pragma once
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shop {

struct Flag {
    std::string name;    // "--port"
    std::string value;   // The default.
    std::string meaning; // For --help.
};

// Reads `--name value` pairs. Prints help and exits 0, or says what is wrong and exits 2.
class Arguments {
public:
    Arguments(std::string_view what, std::vector<Flag> flags, int argc, char** argv)
        : flags_(std::move(flags)) {
        for (int i = 1; i < argc; ++i) {
            const std::string_view name = argv[i];
            if (name == "--help") {
                help(what, argv[0]);
                std::exit(0);
            }
            Flag* flag = find(name);
            if (flag == nullptr) { refuse(argv[0], "unknown argument " + std::string(name)); }
            if (++i == argc) { refuse(argv[0], std::string(name) + " needs a value"); }
            flag->value = argv[i];
        }
        program_ = argv[0];
    }

    [[nodiscard]] const std::string& text(std::string_view name) { return find(name)->value; }
    [[nodiscard]] std::int64_t number(std::string_view name, std::int64_t low, std::int64_t high) {
        const auto& value = text(name);
        std::int64_t number = 0;
        const auto* const end = value.data() + value.size();
        const auto parsed = std::from_chars(value.data(), end, number);
        if (parsed.ec != std::errc() || parsed.ptr != end || number < low || number > high) {
            refuse(
                program_.c_str(), std::string(name) + " is " + value + ": allowed is " +
                                      std::to_string(low) + " to " + std::to_string(high));
        }
        return number;
    }
    [[nodiscard]] std::uint16_t port() {
        return static_cast<std::uint16_t>(number("--port", 0, 65535));
    }

private:
    Flag* find(std::string_view name) {
        for (auto& flag : flags_) {
            if (flag.name == name) { return &flag; }
        }
        return nullptr;
    }
    void help(std::string_view what, const char* program) const {
        std::printf("%s: %.*s\n\n", program, static_cast<int>(what.size()), what.data());
        for (const auto& flag : flags_) {
            std::printf(
                "  %-12s %s (default: %s)\n", flag.name.c_str(), flag.meaning.c_str(),
                flag.value.c_str());
        }
        std::printf("\nTelemetry follows the OTEL_* environment; WEFT_LEDGER=json prints the "
                    "ledger at the end.\n");
    }
    [[noreturn]] static void refuse(const char* program, const std::string& problem) {
        std::fprintf(stderr, "%s: %s; --help lists what there is\n", program, problem.c_str());
        std::exit(2);
    }

    std::vector<Flag> flags_;
    std::string program_;
};

} // namespace shop
