#pragma once
// GoogleMock matchers for finished spans. Needs GoogleMock; the library weft::testing does not.
//
//   EXPECT_THAT(telemetry.spans(), Tree("GET /tea", {Tree("db").with(HasKind(SpanKind::client)), Tree("cache")}));
//   EXPECT_THAT(telemetry.spans(), ::testing::Contains(AllOf(HasName("db"), HasStatus(StatusCode::error))));
//
// Whatever matcher fails on a vector of spans, the message shows all of them as trees: PrintTo in finished_span.hpp.

#include <weft/testing/finished_span.hpp>
#include <weft/testing/span_tree.hpp>

#include <gmock/gmock.h>

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft::testing {

namespace matcher_detail {

inline const char* name_of(SpanKind kind) noexcept {
    switch (kind) {
    case SpanKind::internal:
        return "internal";
    case SpanKind::server:
        return "server";
    case SpanKind::client:
        return "client";
    case SpanKind::producer:
        return "producer";
    case SpanKind::consumer:
        return "consumer";
    }
    return "unknown";
}

inline const char* name_of(StatusCode code) noexcept {
    switch (code) {
    case StatusCode::unset:
        return "unset";
    case StatusCode::ok:
        return "ok";
    case StatusCode::error:
        return "error";
    }
    return "unknown";
}

template <class T>
::testing::Matcher<const Value&> value_matcher(const T& expected) {
    if constexpr (std::is_convertible_v<const T&, Value>) {
        return ::testing::Eq(Value(expected));
    } else {
        return ::testing::MatcherCast<const Value&>(expected);
    }
}

// A value of one type, whose content a matcher looks at.
template <class T>
auto typed(::testing::Matcher<const T&> content, std::string type) {
    return ::testing::ResultOf(
        "the " + type + " in it", [](const Value& value) { return value.get_if<T>(); },
        ::testing::Pointee(std::move(content)));
}

/// Places actual things for expected ones, each for one, so that as many expected ones as can be have theirs.
/// Returns the index of what each expected one got; `size` of actual for none. `fits[e][a]`.
inline std::vector<std::size_t> assign(
    const std::vector<std::vector<bool>>& fits, std::size_t size) {
    std::vector<std::size_t> taken_by(size, fits.size());
    for (std::size_t first = 0; first < fits.size(); ++first) {
        std::vector<bool> tried(size);
        const auto place = [&](auto& self, std::size_t expected) -> bool {
            for (std::size_t i = 0; i < size; ++i) {
                if (!fits[expected][i] || tried[i]) { continue; }
                tried[i] = true;
                if (taken_by[i] == fits.size() || self(self, taken_by[i])) {
                    taken_by[i] = expected;
                    return true;
                }
            }
            return false;
        };
        (void)place(place, first);
    }
    std::vector<std::size_t> got(fits.size(), size);
    for (std::size_t i = 0; i < size; ++i) {
        if (taken_by[i] < fits.size()) { got[taken_by[i]] = i; }
    }
    return got;
}

} // namespace matcher_detail

/// The content of a text attribute: `HasAttribute("url.path", Text(HasSubstr("tea")))`.
inline ::testing::Matcher<const Value&> Text(::testing::Matcher<const std::string&> content) {
    return matcher_detail::typed<std::string>(std::move(content), "text");
}
/// The content of an integer attribute: `HasAttribute("http.response.status_code", Integer(Ge(500)))`.
inline ::testing::Matcher<const Value&> Integer(::testing::Matcher<const std::int64_t&> content) {
    return matcher_detail::typed<std::int64_t>(std::move(content), "integer");
}
/// The content of a floating-point attribute: `HasAttribute("load", Floating(DoubleNear(0.5, 0.1)))`.
inline ::testing::Matcher<const Value&> Floating(::testing::Matcher<const double&> content) {
    return matcher_detail::typed<double>(std::move(content), "floating-point number");
}

/// A span or event of this name; also a matcher of texts.
MATCHER_P(HasName, name, "is named " + ::testing::PrintToString(name)) {
    return ::testing::ExplainMatchResult(
        ::testing::Matcher<const std::string&>(name), arg.name, result_listener);
}

/// A span of this kind.
MATCHER_P(HasKind, kind, std::string("is of kind ") + matcher_detail::name_of(kind)) {
    if (arg.kind == kind) { return true; }
    *result_listener << "is of kind " << matcher_detail::name_of(arg.kind);
    return false;
}

/// A span, event or link that has an attribute of this key, whatever its value.
MATCHER_P(HasAttribute, key, "has the attribute " + ::testing::PrintToString(key)) {
    if (find(arg.attributes, key) != nullptr) { return true; }
    *result_listener << "has the attributes " << to_text(Value(arg.attributes));
    return false;
}

/// A span, event or link whose attribute of this key has this value, or one that a matcher of Value takes. An integer is
/// no floating-point number: 1 is not 1.0.
MATCHER_P2(
    HasAttribute, key, value,
    "has the attribute " + ::testing::PrintToString(key) + " whose value " +
        ::testing::DescribeMatcher<const Value&>(matcher_detail::value_matcher(value), false)) {
    const Value* found = find(arg.attributes, key);
    if (found == nullptr) {
        *result_listener << "has the attributes " << to_text(Value(arg.attributes));
        return false;
    }
    *result_listener << "where " << key << " is " << to_text(*found) << ' ';
    return ::testing::ExplainMatchResult(
        matcher_detail::value_matcher(value), *found, result_listener);
}

/// A span with this status.
MATCHER_P(HasStatus, code, std::string("has the status ") + matcher_detail::name_of(code)) {
    if (arg.status == code) { return true; }
    *result_listener << "has the status " << matcher_detail::name_of(arg.status);
    if (!arg.status_description.empty()) {
        *result_listener << ", " << ::testing::PrintToString(arg.status_description);
    }
    return false;
}

/// A span with this status and this description; the latter may be a matcher of texts.
MATCHER_P2(
    HasStatus, code, description,
    std::string("has the status ") + matcher_detail::name_of(code) + " and a description that " +
        ::testing::DescribeMatcher<const std::string&>(
            ::testing::Matcher<const std::string&>(description), false)) {
    *result_listener << "has the status " << matcher_detail::name_of(arg.status) << ", "
                     << ::testing::PrintToString(arg.status_description);
    return arg.status == code && ::testing::Matches(::testing::Matcher<const std::string&>(
                                     description))(arg.status_description);
}

/// A span with an event of this name.
MATCHER_P(HasEvent, name, "has the event " + ::testing::PrintToString(name)) {
    for (const auto& event : arg.events) {
        if (event.name == name) { return true; }
    }
    *result_listener << "has the events " << ::testing::PrintToString(arg.events);
    return false;
}

/// A span with an event of this name that a matcher of FinishedEvent takes:
/// `HasEvent("exception", HasAttribute("exception.type", "std::runtime_error"))`.
MATCHER_P2(
    HasEvent, name, event_matcher,
    "has an event " + ::testing::PrintToString(name) + " that " +
        ::testing::DescribeMatcher<const FinishedEvent&>(event_matcher, false)) {
    const ::testing::Matcher<const FinishedEvent&> matcher(event_matcher);
    for (const auto& event : arg.events) {
        if (event.name == name && matcher.Matches(event)) { return true; }
    }
    *result_listener << "has the events " << ::testing::PrintToString(arg.events);
    return false;
}

/// A span whose parent is this one: a FinishedSpan, or anything else with `trace_id` and `span_id`, such as
/// `Span::context()`.
MATCHER_P(
    IsChildOf, parent,
    "is a child of span " + parent.span_id.to_hex() + " in trace " + parent.trace_id.to_hex()) {
    if (arg.trace_id == parent.trace_id && arg.parent_id == parent.span_id) { return true; }
    if (arg.trace_id != parent.trace_id) {
        *result_listener << "is in trace " << arg.trace_id.to_hex();
    } else if (arg.is_root()) {
        *result_listener << "is a root";
    } else {
        *result_listener << "is a child of span " << arg.parent_id.to_hex();
    }
    return false;
}

/// A span without a parent, here or elsewhere.
MATCHER(IsRoot, "is a root") {
    if (arg.is_root()) { return true; }
    *result_listener << "is a child of " << (arg.has_remote_parent() ? "remote span " : "span ")
                     << arg.parent_id.to_hex();
    return false;
}

/// A span with a link to this one; what it may be, IsChildOf says.
MATCHER_P(
    HasLinkTo, target,
    "has a link to span " + target.span_id.to_hex() + " in trace " + target.trace_id.to_hex()) {
    for (const auto& link : arg.links) {
        if (link.trace_id == target.trace_id && link.span_id == target.span_id) { return true; }
    }
    *result_listener << "has the links " << ::testing::PrintToString(arg.links);
    return false;
}

/// A span in the trace of this one; what it may be, IsChildOf says.
MATCHER_P(InSameTraceAs, other, "is in trace " + other.trace_id.to_hex()) {
    if (arg.trace_id == other.trace_id) { return true; }
    *result_listener << "is in trace " << arg.trace_id.to_hex();
    return false;
}

/// A span and everything below it: exactly these children, in any order, and theirs in turn. As a matcher of a vector
/// of spans: this tree is all there is. Its root has no parent, or a remote one.
class Tree {
public:
    using is_gtest_matcher = void;
    using Spans = std::vector<FinishedSpan>;

    Tree(::testing::Matcher<const std::string&> name, std::vector<Tree> children = {})
        : name_(std::move(name)), children_(std::move(children)) {}

    /// What the span itself must be besides: `Tree("db").with(HasKind(SpanKind::client))`.
    [[nodiscard]] Tree with(::testing::Matcher<const FinishedSpan&> matcher) && {
        conditions_.push_back(std::move(matcher));
        return std::move(*this);
    }
    [[nodiscard]] Tree with(::testing::Matcher<const FinishedSpan&> matcher) const& {
        return Tree(*this).with(std::move(matcher));
    }

    bool MatchAndExplain(const Spans& spans, ::testing::MatchResultListener* listener) const {
        const SpanTree tree(spans);
        if (tree.tops().size() != 1) {
            *listener << "which is " << tree.tops().size() << " trees and not one";
            return false;
        }
        return match_top(tree, tree.tops().front(), listener);
    }
    void DescribeTo(std::ostream* out) const {
        *out << "is the tree\n";
        describe(*out, 1);
    }
    void DescribeNegationTo(std::ostream* out) const {
        *out << "is not the tree\n";
        describe(*out, 1);
    }

    /// Whether the spans below `top` are this tree, `top` being the root of its own.
    bool match_top(
        const SpanTree& tree, std::size_t top, ::testing::MatchResultListener* listener) const {
        if (tree.is_orphan(top)) {
            *listener << "whose span " << quoted(tree.spans()[top])
                      << " has a parent that is not among the spans";
            return false;
        }
        return match_at(tree, top, listener);
    }
    void describe(std::ostream& out, std::size_t depth) const {
        out << std::string(2 * depth, ' ');
        name_.DescribeTo(&out);
        for (const auto& condition : conditions_) {
            out << ", ";
            condition.DescribeTo(&out);
        }
        out << '\n';
        for (const auto& child : children_) { child.describe(out, depth + 1); }
    }

private:
    static std::string quoted(const FinishedSpan& span) {
        return ::testing::PrintToString(span.name);
    }

    // The span alone.
    bool match_span(const FinishedSpan& span, ::testing::MatchResultListener* listener) const {
        if (!name_.Matches(span.name)) {
            *listener << "whose span " << quoted(span) << " should be one whose name ";
            name_.DescribeTo(listener->stream());
            return false;
        }
        for (const auto& condition : conditions_) {
            ::testing::StringMatchResultListener why;
            if (condition.MatchAndExplain(span, &why)) { continue; }
            *listener << "whose span " << quoted(span) << " should be one that ";
            if (listener->IsInterested()) { condition.DescribeTo(listener->stream()); }
            if (!why.str().empty()) { *listener << ", but it " << why.str(); }
            return false;
        }
        return true;
    }

    bool match_at(
        const SpanTree& tree, std::size_t span, ::testing::MatchResultListener* listener) const {
        if (!match_span(tree.spans()[span], listener)) { return false; }
        const auto& actual = tree.children(span);
        std::vector<std::vector<bool>> fits;
        for (const auto& child : children_) {
            auto& row = fits.emplace_back();
            for (const auto at : actual) {
                ::testing::StringMatchResultListener unheard;
                row.push_back(child.match_at(tree, at, &unheard));
            }
        }
        const auto got = matcher_detail::assign(fits, actual.size());
        std::vector<bool> used(actual.size());
        bool all = actual.size() == children_.size();
        for (const auto at : got) {
            if (at < actual.size()) {
                used[at] = true;
            } else {
                all = false;
            }
        }
        if (!all) { explain(tree, span, got, used, listener); }
        return all;
    }

    // Names what is missing below a span, with the nearest reason, and what is there unasked.
    void explain(
        const SpanTree& tree, std::size_t span, const std::vector<std::size_t>& got,
        const std::vector<bool>& used, ::testing::MatchResultListener* listener) const {
        if (!listener->IsInterested()) { return; }
        const auto& actual = tree.children(span);
        *listener << "where below span " << quoted(tree.spans()[span]);
        const char* separator = " ";
        for (std::size_t i = 0; i < got.size(); ++i) {
            if (got[i] < actual.size()) { continue; }
            *listener << std::exchange(separator, "; ") << "there is no child that";
            children_[i].explain_missing(tree, actual, used, listener);
        }
        for (std::size_t i = 0; i < used.size(); ++i) {
            if (used[i]) { continue; }
            *listener << std::exchange(separator, "; ") << "there is "
                      << quoted(tree.spans()[actual[i]])
                      << ", which was not expected or does not fit";
        }
    }

    void explain_missing(
        const SpanTree& tree, const std::vector<std::size_t>& actual, const std::vector<bool>& used,
        ::testing::MatchResultListener* listener) const {
        *listener << " ";
        name_.DescribeTo(listener->stream());
        for (std::size_t i = 0; i < actual.size(); ++i) {
            if (used[i] || !name_.Matches(tree.spans()[actual[i]].name)) { continue; }
            ::testing::StringMatchResultListener why;
            (void)match_at(tree, actual[i], &why);
            *listener << " (" << quoted(tree.spans()[actual[i]]) << " is one " << why.str() << ')';
            return;
        }
    }

    ::testing::Matcher<const std::string&> name_;
    std::vector<::testing::Matcher<const FinishedSpan&>> conditions_;
    std::vector<Tree> children_;
};

/// As a matcher of a vector of spans: they are exactly these trees, in any order.
class Trees {
public:
    using is_gtest_matcher = void;

    explicit Trees(std::vector<Tree> trees) : trees_(std::move(trees)) {}

    bool MatchAndExplain(
        const std::vector<FinishedSpan>& spans, ::testing::MatchResultListener* listener) const {
        const SpanTree tree(spans);
        const auto& tops = tree.tops();
        std::vector<std::vector<bool>> fits;
        for (const auto& expected : trees_) {
            auto& row = fits.emplace_back();
            for (const auto top : tops) {
                ::testing::StringMatchResultListener unheard;
                row.push_back(expected.match_top(tree, top, &unheard));
            }
        }
        const auto got = matcher_detail::assign(fits, tops.size());
        std::vector<bool> used(tops.size());
        std::size_t missing = 0;
        for (const auto at : got) {
            if (at < tops.size()) {
                used[at] = true;
            } else {
                ++missing;
            }
        }
        if (missing == 0 && tops.size() == trees_.size()) { return true; }
        *listener << "which is " << tops.size() << " trees; " << missing << " of the "
                  << trees_.size() << " expected ones are missing";
        for (std::size_t i = 0; i < tops.size(); ++i) {
            if (!used[i]) {
                *listener << "; the one of " << ::testing::PrintToString(spans[tops[i]].name)
                          << " was not expected or does not fit";
            }
        }
        return false;
    }
    void DescribeTo(std::ostream* out) const {
        *out << "is the trees\n";
        for (const auto& tree : trees_) { tree.describe(*out, 1); }
    }
    void DescribeNegationTo(std::ostream* out) const {
        *out << "is not the trees\n";
        for (const auto& tree : trees_) { tree.describe(*out, 1); }
    }

private:
    std::vector<Tree> trees_;
};

/// As a matcher of a vector of spans: this tree is among them.
class HasTree {
public:
    using is_gtest_matcher = void;

    explicit HasTree(Tree tree) : tree_(std::move(tree)) {}

    bool MatchAndExplain(
        const std::vector<FinishedSpan>& spans, ::testing::MatchResultListener* listener) const {
        const SpanTree tree(spans);
        std::string reasons;
        for (const auto top : tree.tops()) {
            ::testing::StringMatchResultListener why;
            if (tree_.match_top(tree, top, &why)) { return true; }
            reasons += "\n  " + ::testing::PrintToString(spans[top].name) + ": " + why.str();
        }
        *listener << "none of whose " << tree.tops().size() << " trees fits:" << reasons;
        return false;
    }
    void DescribeTo(std::ostream* out) const {
        *out << "has the tree\n";
        tree_.describe(*out, 1);
    }
    void DescribeNegationTo(std::ostream* out) const {
        *out << "has not the tree\n";
        tree_.describe(*out, 1);
    }

private:
    Tree tree_;
};

} // namespace weft::testing
