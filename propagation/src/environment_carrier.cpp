#include <weft/propagation/environment_carrier.hpp>

#include <unistd.h>

#include <algorithm>

namespace weft {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }

// ^[A-Z_][A-Z0-9_]*$
bool is_in_form(std::string_view name) noexcept {
    return !name.empty() && !is_digit(name.front()) &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return is_upper(c) || is_digit(c) || c == '_';
           });
}

} // namespace

std::string environment_name(std::string_view header) {
    std::string name;
    name.reserve(header.size() + 1);
    if (header.empty() || is_digit(header.front())) { name += '_'; }
    for (char c : header) {
        if (c >= 'a' && c <= 'z') { c = static_cast<char>(c - 'a' + 'A'); }
        name += is_upper(c) || is_digit(c) ? c : '_';
    }
    return name;
}

EnvironmentCarrier EnvironmentCarrier::of_process() {
    std::vector<Variable> variables;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const auto equals = text.find('=');
        if (equals == std::string_view::npos) { continue; } // No variable at all.
        variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
    return EnvironmentCarrier(std::move(variables));
}

void EnvironmentCarrier::set(std::string_view header, std::string_view value) {
    auto name = environment_name(header);
    const auto index = find(name);
    if (index < variables_.size()) {
        variables_[index].second = value;
    } else {
        variables_.emplace_back(std::move(name), value);
    }
}

void EnvironmentCarrier::erase(std::string_view header) {
    std::erase_if(variables_, [name = environment_name(header)](const Variable& variable) {
        return variable.first == name;
    });
}

std::vector<std::string> EnvironmentCarrier::envp() const {
    std::vector<std::string> entries;
    entries.reserve(variables_.size());
    for (const auto& [name, value] : variables_) { entries.push_back(name + '=' + value); }
    return entries;
}

std::size_t EnvironmentCarrier::find(std::string_view name) const noexcept {
    const auto found =
        std::find_if(variables_.begin(), variables_.end(), [&](const Variable& variable) {
            return variable.first == name;
        });
    return static_cast<std::size_t>(found - variables_.begin());
}

std::size_t EnvironmentCarrier::skip_others(std::size_t index) const noexcept {
    while (index < variables_.size() && !is_in_form(variables_[index].first)) { ++index; }
    return index;
}

} // namespace weft
