#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace weft {

/// How much of the library's own log is shown. Each level includes those before it.
/// Source: OpenTelemetry environment variables, "General SDK Configuration", OTEL_LOG_LEVEL.
enum class DiagnosticLevel : std::uint8_t { none, error, warning, info, debug };

/// "none", "error", "warning", "info" or "debug".
[[nodiscard]] std::string_view name(DiagnosticLevel level) noexcept;

/// Reads a level in any letter case; "warn" is accepted too. Anything else: nullopt.
[[nodiscard]] std::optional<DiagnosticLevel> parse_diagnostic_level(std::string_view text) noexcept;

/// One line of the library's own log. Lifetime: the views last for the handler's call only.
struct Diagnostic {
    DiagnosticLevel level = DiagnosticLevel::info;
    std::string_view key;         ///< Stable name of the kind of message; the rate limit's unit.
    std::string_view message;     ///< One line of printable UTF-8.
    std::uint64_t suppressed = 0; ///< Messages of the key that were withheld since the last one.
};

/// Receives diagnostics instead of stderr. It may be called from any thread, several at a time;
/// what it throws is swallowed.
using DiagnosticHandler = std::function<void(const Diagnostic&)>;

struct DiagnosticsOptions {
    DiagnosticLevel level = DiagnosticLevel::info;
    DiagnosticHandler handler = {};            ///< Empty: one line to stderr.
    std::chrono::milliseconds interval{10000}; ///< Between two messages of one key. 0: no limit.
    /// For tests. Null: the steady clock.
    std::chrono::steady_clock::time_point (*now)() noexcept = nullptr;
};

/// The library's own log: what it swallowed, dropped or gave up on. Never throws.
/// The first message of a key is shown at once, then at most one per interval, with the number
/// withheld.
/// Threads: any.
/// Cost: a message below the level is one load; one withheld is a lock and is never formatted.
class Diagnostics {
public:
    explicit Diagnostics(DiagnosticsOptions options = {}) noexcept;
    Diagnostics(const Diagnostics&) = delete;
    Diagnostics& operator=(const Diagnostics&) = delete;

    void set_level(DiagnosticLevel level) noexcept;
    void set_handler(DiagnosticHandler handler) noexcept;
    [[nodiscard]] bool enabled(DiagnosticLevel level) const noexcept;

    void report(DiagnosticLevel level, std::string_view key, std::string_view message) noexcept;

    /// As above, but the message is made by a callable that runs only if the message is shown.
    template <class MakeText>
    requires std::is_invocable_r_v<std::string, MakeText&>
    void report(DiagnosticLevel level, std::string_view key, MakeText&& make_text) noexcept {
        if (!enabled(level)) { return; }
        const auto suppressed = admit(key);
        if (!suppressed) { return; }
        try {
            const std::string text = make_text();
            emit(level, key, text, *suppressed);
        } catch (...) {} // No memory for a log line: the line is lost, the host is not.
    }

private:
    friend struct DiagnosticsAtFork;
    friend class HeldDiagnostics;
    struct Key {
        std::string name;
        std::chrono::steady_clock::time_point shown_at;
        std::uint64_t suppressed = 0;
    };

    [[nodiscard]] std::optional<std::uint64_t> admit(std::string_view key) noexcept;
    Key& entry(std::string_view key, std::chrono::steady_clock::time_point now);
    void emit(
        DiagnosticLevel level, std::string_view key, std::string_view message,
        std::uint64_t suppressed) noexcept;

    std::atomic<DiagnosticLevel> level_; // Written by set_level, read by every reporter.
    const std::chrono::milliseconds interval_;
    std::chrono::steady_clock::time_point (*const now_)() noexcept;
    std::mutex mutex_; // Guards handler_ and keys_; never held while the handler runs.
    std::shared_ptr<const DiagnosticHandler> handler_;
    std::vector<Key> keys_;
};

/// While it lives, what its thread reports is kept; then it is shown, in order. To be made before a mutex is taken that
/// a handler may come to need: a handler may use all of the library. Inside of another one it leaves all to that.
/// Threads: its own. Not across an await. Without memory a line is lost.
class HeldDiagnostics {
public:
    HeldDiagnostics() noexcept;
    HeldDiagnostics(const HeldDiagnostics&) = delete;
    HeldDiagnostics& operator=(const HeldDiagnostics&) = delete;
    ~HeldDiagnostics();

private:
    friend class Diagnostics;
    struct Line {
        Diagnostics* log;
        DiagnosticLevel level;
        std::string key;
        std::string message;
        std::uint64_t suppressed;
    };
    static constinit thread_local HeldDiagnostics* current_; // Null: nothing is held.

    std::vector<Line> lines_;
};

/// The process-wide log, used where no other was given. Never destroyed, so late reports are safe.
[[nodiscard]] Diagnostics& diagnostics() noexcept;

/// Makes text from outside fit for one line of a log: valid UTF-8, control and direction-changing
/// characters replaced by a space, at most `bytes_max` bytes (cut between characters, "..." at the
/// end). Units: bytes_max at least 3.
[[nodiscard]] std::string printable(std::string_view text, std::size_t bytes_max);

} // namespace weft
