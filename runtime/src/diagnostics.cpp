#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/fork.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

namespace weft {
namespace {

constexpr std::size_t keys_max = 128;
constexpr std::size_t line_bytes_max = 1024;
constexpr std::string_view shared_key = "(other)"; // Stands for every key beyond keys_max.

constexpr std::array<std::string_view, 5> level_names{"none", "error", "warning", "info", "debug"};

std::chrono::steady_clock::time_point steady_now() noexcept {
    return std::chrono::steady_clock::now();
}

bool equal_ignoring_case(std::string_view a, std::string_view lower) noexcept {
    return std::equal(a.begin(), a.end(), lower.begin(), lower.end(), [](char x, char y) noexcept {
        return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
    });
}

void write_to_stderr(const Diagnostic& diagnostic) {
    std::string line = "weft: ";
    line.append(name(diagnostic.level)).append(": ").append(diagnostic.message);
    if (diagnostic.suppressed != 0) {
        line.append(" (")
            .append(std::to_string(diagnostic.suppressed))
            .append(" more like it withheld)");
    }
    line.push_back('\n');
    // One write, so that lines of several threads or processes do not mix. A failure has nobody
    // left to be told.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

// One code point at the front of `text`. `length` 0 means the first byte begins no valid UTF-8
// sequence.
struct CodePoint {
    char32_t value = 0;
    std::size_t length = 0;
};

CodePoint decode_utf8(std::string_view text) noexcept {
    const auto byte = [text](std::size_t i) noexcept {
        return static_cast<unsigned char>(text[i]);
    };
    const unsigned char lead = byte(0);
    if (lead < 0x80) { return {lead, 1}; }
    std::size_t length = 0;
    char32_t value = 0;
    char32_t least = 0; // Below it the sequence is overlong.
    if ((lead & 0xe0) == 0xc0) {
        length = 2, value = lead & 0x1fu, least = 0x80;
    } else if ((lead & 0xf0) == 0xe0) {
        length = 3, value = lead & 0x0fu, least = 0x800;
    } else if ((lead & 0xf8) == 0xf0) {
        length = 4, value = lead & 0x07u, least = 0x10000;
    } else {
        return {};
    }
    if (text.size() < length) { return {}; }
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) { return {}; }
        value = (value << 6) | (byte(i) & 0x3fu);
    }
    const bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (value < least || value > 0x10ffff || surrogate) { return {}; }
    return {value, length};
}

// Line breaks and terminal escapes forge log lines; direction overrides make a line read as
// another.
bool is_harmful(char32_t c) noexcept {
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

} // namespace

std::string_view name(DiagnosticLevel level) noexcept {
    const auto index = static_cast<std::size_t>(level);
    return index < level_names.size() ? level_names[index] : "unknown";
}

std::optional<DiagnosticLevel> parse_diagnostic_level(std::string_view text) noexcept {
    for (std::size_t i = 0; i < level_names.size(); ++i) {
        if (equal_ignoring_case(text, level_names[i])) { return static_cast<DiagnosticLevel>(i); }
    }
    if (equal_ignoring_case(text, "warn")) { return DiagnosticLevel::warning; }
    return std::nullopt;
}

std::string printable(std::string_view text, std::size_t bytes_max) {
    constexpr std::string_view ellipsis = "...";
    constexpr std::string_view replacement = "\xef\xbf\xbd"; // U+FFFD
    std::string out;
    out.reserve(std::min(text.size(), bytes_max));
    std::size_t cut = 0; // Where to cut if the text turns out too long: the last boundary with room
                         // for the ellipsis.
    for (std::size_t i = 0; i < text.size();) {
        const auto point = decode_utf8(text.substr(i));
        std::string_view piece = point.length == 0 ? replacement : text.substr(i, point.length);
        if (point.length != 0 && is_harmful(point.value)) { piece = " "; }
        if (out.size() + piece.size() > bytes_max) {
            out.resize(cut);
            if (bytes_max >= ellipsis.size()) { out.append(ellipsis); }
            return out;
        }
        out.append(piece);
        if (out.size() + ellipsis.size() <= bytes_max) { cut = out.size(); }
        i += std::max<std::size_t>(point.length, 1);
    }
    return out;
}

Diagnostics::Diagnostics(DiagnosticsOptions options) noexcept
    : level_(options.level), interval_(options.interval),
      now_(options.now != nullptr ? options.now : steady_now) {
    set_handler(std::move(options.handler));
}

void Diagnostics::set_level(DiagnosticLevel level) noexcept {
    level_.store(
        level,
        std::memory_order_relaxed); // relaxed: a late reader shows or hides one line too many.
}

bool Diagnostics::enabled(DiagnosticLevel level) const noexcept {
    // relaxed: see set_level; nothing else is published through the level.
    return level != DiagnosticLevel::none && level <= level_.load(std::memory_order_relaxed);
}

void Diagnostics::set_handler(DiagnosticHandler handler) noexcept {
    try {
        auto fresh =
            handler ? std::make_shared<const DiagnosticHandler>(std::move(handler)) : nullptr;
        const std::lock_guard lock(mutex_);
        handler_.swap(fresh);
    } catch (...) {} // No memory: the former handler stays.
}

void Diagnostics::report(
    DiagnosticLevel level, std::string_view key, std::string_view message) noexcept {
    if (!enabled(level)) { return; }
    if (const auto suppressed = admit(key)) { emit(level, key, message, *suppressed); }
}

// Answers how many messages were withheld before this one, or nothing if this one is withheld as
// well.
std::optional<std::uint64_t> Diagnostics::admit(std::string_view key) noexcept {
    try {
        const auto now = now_();
        const std::lock_guard lock(mutex_);
        Key& known = entry(key, now);
        if (now - known.shown_at < interval_) {
            ++known.suppressed;
            return std::nullopt;
        }
        known.shown_at = now;
        return std::exchange(known.suppressed, 0);
    } catch (...) { return std::nullopt; }
}

// Called with the mutex held. A new key's last showing lies one interval back, so that it is shown
// at once.
Diagnostics::Key& Diagnostics::entry(
    std::string_view key, std::chrono::steady_clock::time_point now) {
    const auto find = [this](std::string_view wanted) {
        return std::find_if(
            keys_.begin(), keys_.end(), [wanted](const Key& k) { return k.name == wanted; });
    };
    if (const auto found = find(key); found != keys_.end()) { return *found; }
    if (keys_.size() >= keys_max) {
        std::erase_if(keys_, [&](const Key& k) {
            return k.suppressed == 0 && now - k.shown_at >= interval_;
        });
    }
    if (keys_.size() >= keys_max) {
        key = shared_key;
        if (const auto found = find(key); found != keys_.end()) { return *found; }
    }
    return keys_.emplace_back(Key{std::string(key), now - interval_, 0});
}

void Diagnostics::emit(
    DiagnosticLevel level, std::string_view key, std::string_view message,
    std::uint64_t suppressed) noexcept {
    try {
        if (auto* const held = HeldDiagnostics::current_; held != nullptr) {
            held->lines_.push_back(
                {this, level, std::string(key), std::string(message), suppressed});
            return;
        }
        const std::string text = printable(message, line_bytes_max);
        const Diagnostic diagnostic{level, key, text, suppressed};
        std::shared_ptr<const DiagnosticHandler> handler;
        {
            const std::lock_guard lock(mutex_);
            handler = handler_;
        }
        if (handler) {
            (*handler)(diagnostic);
        } else {
            write_to_stderr(diagnostic);
        }
    } catch (...) {} // A handler that throws, or no memory: the line is lost, the host is not.
}

constinit thread_local HeldDiagnostics* HeldDiagnostics::current_ = nullptr;

HeldDiagnostics::HeldDiagnostics() noexcept {
    if (current_ == nullptr) { current_ = this; }
}

HeldDiagnostics::~HeldDiagnostics() {
    if (current_ != this) { return; }
    current_ = nullptr;
    for (const auto& line : lines_) {
        line.log->emit(line.level, line.key, line.message, line.suppressed);
    }
}

// By way of diagnostics(), so that no child inherits one that is half made. Others than the process's own log are their
// owners' to keep from a fork.
struct DiagnosticsAtFork {
    static void lock(void*) noexcept { diagnostics().mutex_.lock(); }
    static void unlock(void*) noexcept { diagnostics().mutex_.unlock(); }
};

namespace {
[[maybe_unused]] detail::ForkGuard at_fork{
    {detail::ForkOrder::leaf, nullptr, DiagnosticsAtFork::lock, DiagnosticsAtFork::unlock,
     DiagnosticsAtFork::unlock}};
} // namespace

Diagnostics& diagnostics() noexcept {
    // Placed in static storage and never destroyed: threads may report while the process exits.
    alignas(Diagnostics) static std::array<std::byte, sizeof(Diagnostics)> storage;
    static auto* const instance = new (storage.data()) Diagnostics();
    return *instance;
}

} // namespace weft
