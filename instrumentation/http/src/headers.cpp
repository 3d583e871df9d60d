#include "text.hpp"

#include <weft/http/headers.hpp>

#include <algorithm>
#include <limits>

namespace weft::http {

bool same_name(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) { return false; }
    const auto lower = [](char c) noexcept {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    };
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i] != b[i] && lower(a[i]) != lower(b[i])) { return false; }
    }
    return true;
}

std::string_view Headers::get(std::string_view name) const noexcept {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        const auto field = at(i);
        if (same_name(field.name, name)) { return field.value; }
    }
    return {};
}

bool Headers::contains(std::string_view name) const noexcept {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        if (same_name(at(i).name, name)) { return true; }
    }
    return false;
}

bool Headers::append(std::string_view name, std::string_view value) {
    const auto at = text_.size();
    const auto size = at + name.size() + value.size();
    if (size > std::numeric_limits<std::uint32_t>::max()) { return false; }
    if (size > text_.capacity()) {
        // Both views may point into text_, so the old string lives until the new one is whole.
        std::string grown;
        grown.reserve(std::max<std::size_t>(2 * text_.capacity(), size));
        grown.append(text_).append(name).append(value);
        text_.swap(grown);
    } else {
        text_.append(name).append(value);
    }
    fields_.push_back(
        {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(name.size()),
         static_cast<std::uint32_t>(at + name.size()), static_cast<std::uint32_t>(value.size())});
    return true;
}

bool Headers::add(std::string_view name, std::string_view value) {
    if (!detail::is_token(name)) { return false; }
    value = detail::trim(value);
    if (!append(name, value)) { return false; }
    const auto from = text_.end() - static_cast<std::ptrdiff_t>(value.size());
    std::replace_if(
        from, text_.end(),
        [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; },
        ' ');
    return true;
}

bool Headers::set(std::string_view name, std::string_view value) {
    // The new field first: name and value may be views into the old one.
    if (!add(name, value)) { return false; }
    const auto added = fields_.back();
    fields_.pop_back();
    erase({text_.data() + added.name_at, added.name_chars});
    fields_.push_back(added);
    return true;
}

std::size_t Headers::erase(std::string_view name) noexcept {
    const auto before = fields_.size();
    std::erase_if(fields_, [&](const Range& range) {
        return same_name({text_.data() + range.name_at, range.name_chars}, name);
    });
    return before - fields_.size();
}

void Headers::clear() noexcept {
    text_.clear();
    fields_.clear();
}

} // namespace weft::http
