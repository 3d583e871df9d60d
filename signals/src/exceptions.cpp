// SpanOperations::record_exception: the event, and in it the stack of the throw where weft::throw_traces knows it.
#include "span_record.hpp"
#include "type_name.hpp"

#include <weft/runtime/clock.hpp>
#include <weft/signals/detail/exception_stack.hpp>
#include <weft/signals/span.hpp>

#include <cxxabi.h>

#include <algorithm>
#include <cstring>
#include <typeinfo>

namespace weft {
namespace {

constexpr std::size_t stack_bytes_max = 8192;
constexpr std::size_t extra_max = 30;
constexpr std::size_t generated_max = 3; // Type, message, stack.

// A thrown object, as the runtime of the language knows it. Null where it cannot be told.
const void* object_of([[maybe_unused]] const std::exception_ptr& error) noexcept {
    const void* object = nullptr;
#ifdef __GLIBCXX__
    static_assert(
        sizeof error == sizeof object, "libstdc++'s exception_ptr is the object's address");
    std::memcpy(&object, &error, sizeof object);
#endif
    return object;
}

struct Told {
    std::string_view type;
    std::string_view message;
    std::string_view stack;
};

bool put_exception(
    detail::SpanRecord& record, const Told& told, std::span<const Attribute> extra) noexcept {
    // The caller's attributes win, and of equal keys the last does.
    Attribute attributes[generated_max + extra_max] = {
        {"exception.type", told.type}, {"exception.message", told.message}};
    std::size_t count = 2;
    if (!told.stack.empty()) { attributes[count++] = {"exception.stacktrace", told.stack}; }
    const std::size_t kept = std::min(extra.size(), extra_max);
    std::copy_n(extra.begin(), kept, attributes + count);
    return detail::put_event(
        record, "exception", {attributes, count + kept}, steady_now_ns() + record.wall_offset_ns,
        static_cast<std::uint32_t>(extra.size() - kept));
}

// Apart, for what the text takes on the stack. False when there is no stack, or no room for it.
[[gnu::noinline]] bool put_with_stack(
    detail::SpanRecord& record, const void* object, const std::type_info& type, Told told,
    std::span<const Attribute> extra) noexcept {
    const auto write = detail::exception_stack.load(std::memory_order_relaxed); // See there.
    if (write == nullptr || object == nullptr) { return false; }
    char text[stack_bytes_max];
    told.stack = {text, write(object, type, text, sizeof text)};
    return !told.stack.empty() && put_exception(record, told, extra);
}

void add_exception(
    detail::SpanRecord& record, const void* object, const std::type_info& type,
    std::string_view message, std::span<const Attribute> extra) noexcept {
    const detail::TypeName name(type);
    const Told told{.type = name.view(), .message = message, .stack = {}};
    if (!put_with_stack(record, object, type, told, extra) && !put_exception(record, told, extra)) {
        ++record.dropped_events;
    }
}

} // namespace

void SpanOperations::record_exception(
    const std::exception& error, std::initializer_list<Attribute> attributes) noexcept {
    if (!is_recording()) { return; }
    add_exception(
        *record_, dynamic_cast<const void*>(&error), typeid(error), error.what(),
        {attributes.begin(), attributes.size()});
}

void SpanOperations::record_exception(
    const std::exception_ptr& error, std::initializer_list<Attribute> attributes) noexcept {
    if (!is_recording() || !error) { return; }
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) { record_exception(e, attributes); } catch (...) {
        const std::span<const Attribute> extra(attributes.begin(), attributes.size());
        const std::type_info* type = abi::__cxa_current_exception_type();
        if (type != nullptr) {
            add_exception(*record_, object_of(error), *type, {}, extra);
        } else if (!put_exception(
                       *record_, {.type = "unknown", .message = {}, .stack = {}}, extra)) {
            ++record_->dropped_events;
        }
    }
}

} // namespace weft
