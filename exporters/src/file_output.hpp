#pragma once
#include "text_sink.hpp"

#include <weft/exporters/otlp_file.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace weft::detail {

/// Lines in a file that is rotated by size and age.
///
/// I1  A line is in the file whole or not at all: what a full disk let through of it is cut off again, or, where another
///     process has written behind it, ended by a line break, so that it is one bad line and spoils no other.
/// I2  A file that somebody moved or removed is left: its name is looked at before each write.
/// I3  Of several processes, one rotates: the one that holds the lock of the file and still finds it under its name.
class FileOutput final : public TextOutput {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Now = TimePoint (*)();

    /// `options.path` is taken as it is.
    explicit FileOutput(OtlpFileOptions options, Now now = &std::chrono::steady_clock::now)
        : options_(std::move(options)), now_(now) {}
    ~FileOutput() override { close(); }

    [[nodiscard]] boost::system::error_code write(std::string_view& left) override;

private:
    [[nodiscard]] bool is_current() const noexcept;
    [[nodiscard]] boost::system::error_code open();
    [[nodiscard]] boost::system::error_code rotate();
    [[nodiscard]] boost::system::error_code append(std::string_view line);
    [[nodiscard]] bool must_rotate(std::size_t more) const noexcept;
    void close() noexcept;

    const OtlpFileOptions options_;
    const Now now_;
    int file_ = -1;
    std::size_t bytes_ = 0;  // In the file, before the next line.
    bool is_torn_ = false;   // It ends within a line.
    bool has_lines_ = false; // Of ours: first_line_ counts.
    TimePoint first_line_{};
};

} // namespace weft::detail
