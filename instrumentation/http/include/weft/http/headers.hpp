#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::http {

namespace detail {
class HeadersAccess;
} // namespace detail

/// Equality without regard to the case of ASCII letters.
[[nodiscard]] bool same_name(std::string_view a, std::string_view b) noexcept;

/// The fields of a message in their order. All text lies in one string, so a message costs no allocation per field.
/// Names are compared without regard to case. What is written is made safe: a field whose name is not a token is
/// refused, control characters in a value become spaces, so that no value can start a second header.
/// Lifetime: views are good until the next change. Threads: one at a time.
/// Source: RFC 9110, "Fields".
class Headers {
public:
    struct Field {
        std::string_view name;
        std::string_view value;
    };

    class const_iterator {
    public:
        using value_type = Field;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;
        using reference = Field;
        using pointer = void;

        const_iterator() noexcept = default;
        const_iterator(const Headers* headers, std::size_t index) noexcept
            : headers_(headers), index_(index) {}
        Field operator*() const noexcept { return headers_->at(index_); }
        const_iterator& operator++() noexcept {
            ++index_;
            return *this;
        }
        const_iterator operator++(int) noexcept {
            auto before = *this;
            ++index_;
            return before;
        }
        friend bool operator==(const const_iterator&, const const_iterator&) noexcept = default;

    private:
        const Headers* headers_ = nullptr;
        std::size_t index_ = 0;
    };

    Headers() noexcept = default;
    Headers(std::initializer_list<Field> fields) {
        for (const auto& field : fields) { add(field.name, field.value); }
    }

    [[nodiscard]] std::size_t count() const noexcept { return fields_.size(); }
    [[nodiscard]] bool empty() const noexcept { return fields_.empty(); }
    [[nodiscard]] const_iterator begin() const noexcept { return {this, 0}; }
    [[nodiscard]] const_iterator end() const noexcept { return {this, fields_.size()}; }

    /// The first value of this name; empty if there is none.
    [[nodiscard]] std::string_view get(std::string_view name) const noexcept;
    [[nodiscard]] bool contains(std::string_view name) const noexcept;

    /// Calls `visit(std::string_view)` for each value of this name, in order.
    template <class Visit>
    void for_each_value(std::string_view name, Visit&& visit) const {
        for (std::size_t i = 0; i < fields_.size(); ++i) {
            // The length first: a request's dozen headers are asked for several names.
            if (fields_[i].name_chars != name.size()) { continue; }
            const auto field = at(i);
            if (same_name(field.name, name)) { visit(field.value); }
        }
    }

    /// Replaces all fields of this name by one. False, and nothing changed, if the name is not a token.
    bool set(std::string_view name, std::string_view value);
    /// Adds a field behind the others. False, and nothing changed, if the name is not a token.
    bool add(std::string_view name, std::string_view value);
    /// Removes all fields of this name; returns how many.
    std::size_t erase(std::string_view name) noexcept;
    void clear() noexcept;

private:
    friend class detail::HeadersAccess;

    struct Range {
        std::uint32_t name_at = 0;
        std::uint32_t name_chars = 0;
        std::uint32_t value_at = 0;
        std::uint32_t value_chars = 0;
    };

    [[nodiscard]] Field at(std::size_t index) const noexcept {
        const auto& range = fields_[index];
        return {
            {text_.data() + range.name_at, range.name_chars},
            {text_.data() + range.value_at, range.value_chars}};
    }
    bool append(std::string_view name, std::string_view value);

    std::string text_; // Names and values; text of replaced fields stays until clear().
    std::vector<Range> fields_;
};

} // namespace weft::http
