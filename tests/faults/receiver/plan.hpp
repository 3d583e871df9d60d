// Which requests are mistreated, and how.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::faults {

enum class Kind : std::uint8_t {
    none,
    status,       ///< Not stored; answers status ARG, with Retry-After if a second number is given.
    refuse_zstd,  ///< 415 for bodies in zstd, not stored; others are accepted.
    reset_before, ///< Not stored; reset once the head is read.
    reset_during, ///< Not stored; reset amid the body.
    reset_after,  ///< Stored; reset instead of an answer.
    silence,      ///< Stored; never answered.
    trickle,      ///< Stored; answered one byte every ARG ms.
    garbage,      ///< Stored; answered with bytes that are no HTTP.
    content_type, ///< Stored; 200 with a page of HTML.
    garbage_body, ///< Stored; 200 whose protobuf is none.
    gzip_bomb,    ///< Stored; 200 with 1 MiB of gzip that would be 1 GiB.
    huge_body,    ///< Stored; 200 with ARG MiB of body.
    huge_header,  ///< Stored; 200 with ARG MiB of header.
    forget,       ///< Not stored; 200 all the same. The harness must notice.
    partial, ///< All but the first ARG records stored; 200 with a partial success that says so.
};

struct Fault {
    Kind kind = Kind::none;
    std::uint64_t argument = 0;
    std::optional<std::uint64_t> retry_after;
};

/// "status=503,2" and the like; nullopt with a line in `problem`.
std::optional<Fault> parse_fault(std::string_view text, std::string& problem);
/// A line for each kind.
std::string_view fault_help() noexcept;

/// Threads: any.
class Plan {
public:
    std::vector<Fault> faults;                       ///< Taken in turn.
    std::uint64_t every = 1;                         ///< Every so manieth request.
    std::uint64_t first = UINT64_MAX;                ///< The first so many requests only.
    std::optional<std::chrono::milliseconds> within; ///< So long after the first request only.

    /// What the next request gets.
    Fault next() noexcept;

private:
    std::atomic<std::uint64_t> requests_{0};
    std::atomic<std::uint64_t> faulted_{0};
    std::atomic<std::int64_t> began_ms_{0};
};

} // namespace weft::faults
