#include "type_name.hpp"

#include <weft/signals/traced.hpp>

#include <algorithm>
#include <charconv>

namespace weft::detail {
namespace {

bool is_cancelled(const boost::system::error_code& error) noexcept {
    return error == asio::error::operation_aborted;
}

} // namespace

void note_error(Span& span, const boost::system::error_code& error) noexcept {
    if (!span.is_recording()) { return; }
    if (is_cancelled(error)) {
        span.set_attribute("weft.cancelled", true);
        return;
    }
    // "category:value": of bounded cardinality, and the same on every machine and in every language.
    char type[64];
    const std::string_view category = error.category().name();
    const auto length = std::min(category.size(), sizeof type - 16);
    char* end = std::copy_n(category.data(), length, type);
    *end++ = ':';
    end = std::to_chars(end, type + sizeof type, error.value()).ptr;
    char message[128];
    span.set_error(
        {type, static_cast<std::size_t>(end - type)}, error.message(message, sizeof message));
}

void note_exception(Span& span, const std::exception_ptr& error) noexcept {
    if (!span.is_recording()) { return; }
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& failure) {
        if (!is_cancelled(failure.code())) { span.record_exception(failure); }
        note_error(span, failure.code());
    } catch (const std::exception& failure) {
        span.record_exception(failure);
        span.set_error(TypeName(typeid(failure)).view(), failure.what());
    } catch (...) {
        span.record_exception(error);
        span.set_error("_OTHER");
    }
}

void note_bytes(Span& span, std::size_t bytes) noexcept {
    span.set_attribute("weft.bytes_transferred", bytes);
}

} // namespace weft::detail
