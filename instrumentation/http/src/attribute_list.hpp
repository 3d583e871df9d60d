#pragma once
#include <weft/signals/attribute.hpp>

#include <array>
#include <cstddef>
#include <span>

namespace weft::http::detail {

/// Attributes put together one by one for the start of a span. Those beyond N are left out.
template <std::size_t N>
class AttributeList {
public:
    void add(std::string_view key, const AttributeValue& value) noexcept {
        if (count_ < N) { attributes_[count_++] = {key, value}; }
    }
    [[nodiscard]] std::span<const Attribute> view() const noexcept {
        return {attributes_.data(), count_};
    }

private:
    std::array<Attribute, N> attributes_;
    std::size_t count_ = 0;
};

} // namespace weft::http::detail
