#include "router.hpp"

#include "text.hpp"

#include <algorithm>
#include <stdexcept>

namespace weft::http::detail {

struct Router::Node {
    std::vector<std::pair<std::string, std::unique_ptr<Node>>> fixed;
    std::unique_ptr<Node> param;
    std::unique_ptr<Node> rest;
    std::vector<std::shared_ptr<const Route>> routes;
    std::string allow;
};

namespace {

constexpr std::size_t segments_max = 32;

enum class Segment { fixed, param, rest };

Segment kind_of(std::string_view segment) noexcept {
    if (!segment.starts_with('{')) { return Segment::fixed; }
    return segment.ends_with("...}") ? Segment::rest : Segment::param;
}

[[noreturn]] void refuse(std::string_view pattern, const char* reason) {
    throw std::invalid_argument(
        "weft::http route \"" + std::string(pattern) + "\": " + std::string(reason));
}

void add_param(Route& route, std::string_view segment, bool rest) {
    const auto name = segment.substr(1, segment.size() - (rest ? 5 : 2));
    if (name.empty()) { refuse(route.pattern, "a parameter has no name"); }
    if (std::find(route.params.begin(), route.params.end(), name) != route.params.end()) {
        refuse(route.pattern, "two parameters have the same name");
    }
    if (route.params.size() == path_params_max) {
        refuse(route.pattern, "more than 16 parameters");
    }
    route.params.emplace_back(name);
}

std::string allow_of(const std::vector<std::shared_ptr<const Route>>& routes) {
    std::string allow;
    const auto has = [&](std::string_view method) {
        return std::any_of(routes.begin(), routes.end(), [&](const auto& route) {
            return route->method == method;
        });
    };
    for (const auto& route : routes) { allow += (allow.empty() ? "" : ", ") + route->method; }
    if (has("GET") && !has("HEAD")) { allow += ", HEAD"; }
    if (!has("OPTIONS")) { allow += ", OPTIONS"; }
    return allow;
}

} // namespace

Router::Router() : root_(std::make_unique<Node>()) {}

Router::Router(std::vector<std::shared_ptr<const Route>> routes) : Router() {
    for (auto& route : routes) { insert(std::move(route)); }
}

Router::~Router() = default;

std::shared_ptr<const Route> Router::make_route(
    std::string_view method, std::string_view pattern, Handler handler,
    std::source_location where) {
    if (!is_token(method)) { refuse(pattern, "the method is not a token"); }
    if (!pattern.starts_with('/')) { refuse(pattern, "it does not start with a slash"); }
    if (handler == nullptr) { refuse(pattern, "the handler is empty"); }
    auto route = std::make_shared<Route>();
    route->method = method;
    route->pattern = pattern;
    route->handler = std::move(handler);
    route->where = where;

    auto left = pattern.substr(1);
    std::size_t segments = 0;
    for (bool more = true; more;) {
        more = left.find('/') != std::string_view::npos;
        const auto segment = take_until(left, '/');
        if (++segments > segments_max) { refuse(pattern, "more than 32 segments"); }
        if (segment.find_first_of("{}") == std::string_view::npos) { continue; }
        if (segment.front() != '{' || segment.find('}') != segment.size() - 1 ||
            segment.rfind('{') != 0) {
            refuse(pattern, "a parameter must be a whole segment: {name}");
        }
        const bool rest = kind_of(segment) == Segment::rest;
        if (rest && more) { refuse(pattern, "{name...} must be the last segment"); }
        add_param(*route, segment, rest);
    }
    return route;
}

void Router::insert(std::shared_ptr<const Route> route) {
    Node* node = root_.get();
    auto left = std::string_view(route->pattern).substr(1);
    for (bool more = true; more;) {
        more = left.find('/') != std::string_view::npos;
        const auto segment = take_until(left, '/');
        std::unique_ptr<Node>* next = nullptr;
        switch (kind_of(segment)) {
        case Segment::param:
            next = &node->param;
            break;
        case Segment::rest:
            next = &node->rest;
            break;
        case Segment::fixed:
            const auto at =
                std::find_if(node->fixed.begin(), node->fixed.end(), [&](const auto& entry) {
                    return entry.first == segment;
                });
            next = at != node->fixed.end() ? &at->second
                                           : &node->fixed.emplace_back(segment, nullptr).second;
            break;
        }
        if (*next == nullptr) { *next = std::make_unique<Node>(); }
        node = next->get();
    }
    for (const auto& other : node->routes) {
        if (other->method == route->method) {
            refuse(route->pattern, "the method has one already");
        }
    }
    node->routes.push_back(route);
    node->allow = allow_of(node->routes);
    routes_.push_back(std::move(route));
}

// `rest` is what follows the slash after this node's segment; a null view means that the path ended here.
// Bound: the depth of the tree, at most 32 segments, with three branches at each.
const Router::Node* Router::match(
    const Node& node, std::string_view rest, PathParams& params) noexcept {
    if (rest.data() == nullptr) { return node.routes.empty() ? nullptr : &node; }
    const auto slash = rest.find('/');
    const auto segment = rest.substr(0, slash);
    const auto next = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
    for (const auto& [text, child] : node.fixed) {
        if (text != segment) { continue; }
        if (const Node* found = match(*child, next, params)) { return found; }
        break;
    }
    if (node.param != nullptr && !segment.empty() && params.count < path_params_max) {
        params.values[params.count++] = segment;
        if (const Node* found = match(*node.param, next, params)) { return found; }
        --params.count;
    }
    if (node.rest != nullptr && params.count < path_params_max) {
        params.values[params.count++] = rest;
        return node.rest.get();
    }
    return nullptr;
}

RouteMatch Router::find(std::string_view method, std::string_view path) const noexcept {
    RouteMatch result;
    if (!path.starts_with('/')) { return result; }
    const Node* node = match(*root_, path.substr(1), result.params);
    if (node == nullptr) { return result; }
    result.pattern = node->routes.front()->pattern;
    result.allow = node->allow;
    const Route* get = nullptr;
    for (const auto& route : node->routes) {
        if (route->method == method) {
            result.route = route.get();
            result.pattern = route->pattern;
            return result;
        }
        if (route->method == "GET") { get = route.get(); }
    }
    if (get != nullptr && method == "HEAD") {
        result.route = get;
        result.pattern = get->pattern;
    }
    return result;
}

} // namespace weft::http::detail
