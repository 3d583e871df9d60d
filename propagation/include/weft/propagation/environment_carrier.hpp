#pragma once
// Environment variables as a carrier: how a program hands its context to a program that it starts.
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

/// The name of the variable for a header: letters in upper case, anything but ASCII letters, digits and "_" becomes
/// "_", a digit in front gets one before it, and so does nothing at all. "X-B3-TraceId" is X_B3_TRACEID.
[[nodiscard]] std::string environment_name(std::string_view header);

/// A copy of an environment, read and written by header name through `environment_name`. It is a carrier like any
/// other: `extract(propagators, EnvironmentCarrier::of_process())` once at start, and for a child `inject` into a copy
/// whose `envp` goes to execve. It neither looks at values nor touches the process's own environment.
/// Enumerating it, as a carrier's keys, gives only variables whose name is already in that form. Names of single
/// baggage entries (Jaeger's, OT's) do not survive the change of case and are not read back.
/// Threads: one at a time; `of_process` while nobody changes the environment.
/// Source: OpenTelemetry, "Environment Variables as Context Propagation Carriers".
class EnvironmentCarrier {
public:
    using Variable = std::pair<std::string, std::string>;

    class const_iterator;

    EnvironmentCarrier() = default;
    explicit EnvironmentCarrier(std::vector<Variable> variables)
        : variables_(std::move(variables)) {}
    /// A copy of this process's environment.
    [[nodiscard]] static EnvironmentCarrier of_process();

    /// Calls `visit(std::string_view)` with the variable's value, if there is one.
    template <class Visit>
    void for_each_value(std::string_view header, Visit&& visit) const {
        const auto index = find(environment_name(header));
        if (index < variables_.size()) { visit(std::string_view(variables_[index].second)); }
    }
    void set(std::string_view header, std::string_view value);
    void erase(std::string_view header);

    [[nodiscard]] const_iterator begin() const noexcept;
    [[nodiscard]] const_iterator end() const noexcept;
    /// All of it, whatever the names.
    [[nodiscard]] const std::vector<Variable>& variables() const noexcept { return variables_; }
    /// "NAME=value" of each, for a child.
    [[nodiscard]] std::vector<std::string> envp() const;

private:
    [[nodiscard]] std::size_t find(std::string_view name) const noexcept;
    /// The first index from `index` on whose name is in form, or the end.
    [[nodiscard]] std::size_t skip_others(std::size_t index) const noexcept;

    std::vector<Variable> variables_;
};

class EnvironmentCarrier::const_iterator {
public:
    using value_type = Variable;
    using difference_type = std::ptrdiff_t;
    using reference = const Variable&;
    using pointer = const Variable*;
    using iterator_category = std::forward_iterator_tag;

    const_iterator() noexcept = default;
    const_iterator(const EnvironmentCarrier* carrier, std::size_t index) noexcept
        : carrier_(carrier), index_(carrier->skip_others(index)) {}
    reference operator*() const noexcept { return carrier_->variables_[index_]; }
    pointer operator->() const noexcept { return &carrier_->variables_[index_]; }
    const_iterator& operator++() noexcept {
        index_ = carrier_->skip_others(index_ + 1);
        return *this;
    }
    const_iterator operator++(int) noexcept {
        auto before = *this;
        ++*this;
        return before;
    }
    friend bool operator==(const const_iterator&, const const_iterator&) noexcept = default;

private:
    const EnvironmentCarrier* carrier_ = nullptr;
    std::size_t index_ = 0;
};

inline EnvironmentCarrier::const_iterator EnvironmentCarrier::begin() const noexcept {
    return {this, 0};
}
inline EnvironmentCarrier::const_iterator EnvironmentCarrier::end() const noexcept {
    return {this, variables_.size()};
}

} // namespace weft
