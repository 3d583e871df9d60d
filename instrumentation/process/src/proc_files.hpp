#pragma once
#include <map>
#include <string>
#include <string_view>

namespace weft::detail {

/// The files of a process file system, and what was said about those that cannot be had. Threads: one at a time.
class ProcFiles {
public:
    static constexpr int malformed = 0; // Instead of an errno.

    /// `whose`: "process" or "system", for messages.
    ProcFiles(std::string root, std::string_view whose) : root_(std::move(root)), whose_(whose) {}

    /// The file's text, up to what /proc has of it. Null: it cannot be read, and why is in errno. Lifetime: until the
    /// next call. Errors: std::bad_alloc.
    [[nodiscard]] const std::string* text_of(const char* name);
    /// Lifetime: as above.
    [[nodiscard]] const std::string& path_of(const char* name);

    /// One line in the library's own log, once for each `what`: a file of the root, or else a call.
    void report(const char* what, int error, bool is_file = true) noexcept;

private:
    const std::string root_;
    const std::string_view whose_;
    std::string path_; // Reused, as the next.
    std::string text_;
    std::map<std::string, bool, std::less<>> has_reported_; // A handful.
};

} // namespace weft::detail
