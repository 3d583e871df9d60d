#pragma once
// Carriers: what headers are read from and written to, recognised by shape, so that no library is included here.
//
//   shape                                  example                                read  write
//   fields with equal_range(name), set()   Boost.Beast basic_fields               yes   yes
//   headers with for_each_value(), set()   weft::http::Headers                    yes   yes
//   associative container of text          std::map, std::unordered_map           yes   yes
//   sequence of pairs of text              std::vector<std::pair<...>>            yes   yes
//   callable (name)                        getter: text, optional text, a range   yes
//   callable (name, value)                 setter                                       yes
//
// All but the callables can enumerate their fields too, which baggage with a header for each entry needs.
// Names are compared without regard to ASCII case. `set` replaces every field of that name and keeps the casing it
// was given. Nothing here allocates; a container may, when it stores.

#include <concepts>
#include <cstddef>
#include <functional>
#include <iterator>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft::carrier {

/// Equality without regard to the case of ASCII letters, as HTTP field names want it.
[[nodiscard]] inline bool same_name(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) { return false; }
    const auto lower = [](char c) noexcept {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    };
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (lower(a[i]) != lower(b[i])) { return false; }
    }
    return true;
}

/// Anything with characters in one piece: std::string, std::string_view, Boost's string views, literals.
template <class T>
concept Text = std::convertible_to<const T&, std::string_view> || requires(const T& text) {
    { text.data() } -> std::convertible_to<const char*>;
    { text.size() } -> std::convertible_to<std::size_t>;
};

template <Text T>
[[nodiscard]] std::string_view to_view(const T& text) noexcept {
    if constexpr (std::is_convertible_v<const T&, const char*> && std::is_pointer_v<T>) {
        return text == nullptr ? std::string_view{} : std::string_view(text);
    } else if constexpr (std::convertible_to<const T&, std::string_view>) {
        return text;
    } else {
        return {text.data(), static_cast<std::size_t>(text.size())};
    }
}

/// Boost.Beast's basic_fields and its look-alikes.
template <class T>
concept Fields = requires(const T& fields, std::string_view name) {
    { fields.equal_range(name).first->value() } -> Text;
};

/// Headers that visit the values of a name themselves.
template <class T>
concept Headers =
    requires(const T& headers, std::string_view name, void (*visit)(std::string_view)) {
    headers.for_each_value(name, visit);
};

template <class T>
concept PairRange = std::ranges::forward_range<const T> && requires(const T& range) {
    { std::ranges::begin(range)->first } -> Text;
    { std::ranges::begin(range)->second } -> Text;
};

template <class T>
concept OptionalText = requires(const T& value) {
    {static_cast<bool>(value)};
    { *value } -> Text;
};

template <class T>
concept TextRange = std::ranges::input_range<T> && Text<std::ranges::range_value_t<T>>;

template <class T>
concept Getter = std::invocable<const T&, std::string_view> &&
    (Text<std::invoke_result_t<const T&, std::string_view>> ||
     OptionalText<std::remove_cvref_t<std::invoke_result_t<const T&, std::string_view>>> ||
     TextRange<std::remove_cvref_t<std::invoke_result_t<const T&, std::string_view>>>);

template <class T>
concept Setter = std::invocable<T&, std::string_view, std::string_view>;

template <class T>
concept Readable = Fields<T> || Headers<T> || PairRange<T> || Getter<T>;

/// Fields of a name and a value each, as iterated by weft::http::Headers.
template <class T>
concept NamedFields = std::ranges::input_range<const T> && requires(const T& range) {
    { (*std::ranges::begin(range)).name } -> Text;
    { (*std::ranges::begin(range)).value } -> Text;
};

/// Whose fields can be visited without knowing their names.
template <class T>
concept Enumerable = Fields<T> || PairRange<T> || NamedFields<T>;

template <class T>
concept HasSet = requires(T& fields, std::string_view text) {
    fields.set(text, text);
};

/// Text that keeps its own characters. A view would point into what is gone after `set`.
template <class T>
concept OwnText = Text<T> && !std::convertible_to<std::string_view, T> &&
                  std::constructible_from<T, std::string_view>;

template <class T>
concept Associative = PairRange<T> && OwnText<typename T::mapped_type> &&
    OwnText<typename T::key_type> && requires(T& map, std::string text) {
    map.emplace(text, text);
    map.erase(map.begin());
};

template <class T>
concept Sequence = PairRange<T> && OwnText<typename T::value_type::first_type> &&
    OwnText<typename T::value_type::second_type> && requires(T& sequence, std::string_view text) {
    sequence.emplace_back(text, text);
    sequence.erase(sequence.begin());
};

template <class T>
concept Writable = HasSet<T> || Associative<T> || Sequence<T> || Setter<T>;

namespace detail {

// A getter that returns no text for an absent header: null pointer, empty view, empty optional, empty range. An
// empty view counts as absent because such a getter has no other way to say so.
template <class Visit>
void visit_getter_value(std::string_view value, Visit&& visit) {
    if (value.data() != nullptr && !value.empty()) { visit(value); }
}

template <class Associative>
void set_in_map(Associative& map, std::string_view name, std::string_view value) {
    bool done = false;
    for (auto it = map.begin(); it != map.end();) {
        if (!same_name(to_view(it->first), name)) {
            ++it;
        } else if (!done && to_view(it->first) == name) {
            it->second = typename Associative::mapped_type(value);
            done = true;
            ++it;
        } else {
            it = map.erase(it);
        }
    }
    if (!done) {
        map.emplace(typename Associative::key_type(name), typename Associative::mapped_type(value));
    }
}

template <class Sequence>
void set_in_sequence(Sequence& sequence, std::string_view name, std::string_view value) {
    bool done = false;
    for (auto it = sequence.begin(); it != sequence.end();) {
        if (!same_name(to_view(it->first), name)) {
            ++it;
        } else if (!done) {
            it->first = name;
            it->second = value;
            done = true;
            ++it;
        } else {
            it = sequence.erase(it);
        }
    }
    if (!done) { sequence.emplace_back(name, value); }
}

template <class Container>
void erase_in_pairs(Container& container, std::string_view name) {
    for (auto it = container.begin(); it != container.end();) {
        it = same_name(to_view(it->first), name) ? container.erase(it) : std::next(it);
    }
}

} // namespace detail

/// Calls `visit(std::string_view)` for each value of the name, in the carrier's order.
/// Lifetime: a view is good during the call only.
template <Readable Carrier, std::invocable<std::string_view> Visit>
void for_each_value(const Carrier& carrier, std::string_view name, Visit&& visit) {
    if constexpr (Headers<Carrier>) {
        carrier.for_each_value(name, visit);
    } else if constexpr (Fields<Carrier>) {
        const auto range = carrier.equal_range(name);
        for (auto it = range.first; it != range.second; ++it) {
            const auto& value = it->value();
            visit(to_view(value));
        }
    } else if constexpr (PairRange<Carrier>) {
        for (const auto& [key, value] : carrier) {
            if (same_name(to_view(key), name)) { visit(to_view(value)); }
        }
    } else {
        auto&& result = std::invoke(carrier, name);
        using Value = std::remove_cvref_t<decltype(result)>;
        if constexpr (Text<Value>) {
            detail::visit_getter_value(to_view(result), visit);
        } else if constexpr (OptionalText<Value>) {
            if (result) { visit(to_view(*result)); }
        } else {
            for (const auto& value : result) { visit(to_view(value)); }
        }
    }
}

/// Calls `visit(std::string_view)` for the first value of the name only. True if there is one.
template <Readable Carrier, std::invocable<std::string_view> Visit>
bool visit_first(const Carrier& carrier, std::string_view name, Visit&& visit) {
    bool found = false;
    for_each_value(carrier, name, [&](std::string_view value) {
        if (!std::exchange(found, true)) { visit(value); }
    });
    return found;
}

/// Calls `visit(name, value)` for each field, in the carrier's order. Lifetime: views are good during the call only.
template <Enumerable Carrier, std::invocable<std::string_view, std::string_view> Visit>
void for_each_field(const Carrier& carrier, Visit&& visit) {
    for (const auto& field : carrier) {
        if constexpr (Fields<Carrier>) {
            const auto& name = field.name_string();
            const auto& value = field.value();
            visit(to_view(name), to_view(value));
        } else if constexpr (PairRange<Carrier>) {
            visit(to_view(field.first), to_view(field.second));
        } else {
            visit(to_view(field.name), to_view(field.value));
        }
    }
}

/// Replaces every field of this name by one.
template <Writable Carrier>
void set(Carrier& carrier, std::string_view name, std::string_view value) {
    if constexpr (HasSet<Carrier>) {
        carrier.set(name, value);
    } else if constexpr (Associative<Carrier>) {
        detail::set_in_map(carrier, name, value);
    } else if constexpr (Sequence<Carrier>) {
        detail::set_in_sequence(carrier, name, value);
    } else {
        std::invoke(carrier, name, value);
    }
}

/// Removes every field of this name, where the carrier can. A setter cannot.
template <Writable Carrier>
void unset(Carrier& carrier, std::string_view name) {
    if constexpr (Associative<Carrier> || Sequence<Carrier>) {
        detail::erase_in_pairs(carrier, name);
    } else if constexpr (requires { carrier.erase(name); }) {
        carrier.erase(name);
    }
}

} // namespace weft::carrier
