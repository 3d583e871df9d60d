#pragma once
// Which handler answers which method and path. A tree of path segments, built once and never changed: a server
// publishes a new one when a route is added, so that requests need no lock.
//
//   /orders/{id}/items   GET      orders ── * ── items [GET]
//   /orders/export       POST           └─ export [POST]
//   /files/{path...}     GET      files ── ** [GET]
//
// A segment that is written out wins over a parameter, a parameter over a rest; where a better match leads to a
// dead end, the next is tried. Cost: no allocation, time in the order of the path's segments.

#include <weft/http/request.hpp>
#include <weft/http/response.hpp>
#include <weft/runtime/executor.hpp>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::http::detail {

using Handler = std::function<Task<Response>(Request&)>;

struct Route {
    std::string method;
    std::string pattern;
    std::vector<std::string> params; // Names, in the order of the path.
    Handler handler;
    std::source_location where{}; // Where it was added.
};

struct PathParams {
    std::array<std::string_view, path_params_max> values;
    std::size_t count = 0;
};

struct RouteMatch {
    const Route* route = nullptr; // Null: no such path, or not with this method.
    /// The path's pattern, also where only the method does not fit. Empty: no such path.
    std::string_view pattern;
    std::string_view allow; // Value of the Allow header for this path.
    PathParams params;
};

class Router {
public:
    Router();
    explicit Router(std::vector<std::shared_ptr<const Route>> routes);
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    /// Lifetime: the result points into this router and into `path`.
    [[nodiscard]] RouteMatch find(std::string_view method, std::string_view path) const noexcept;
    [[nodiscard]] const std::vector<std::shared_ptr<const Route>>& routes() const noexcept {
        return routes_;
    }

    /// Errors: std::invalid_argument that names the pattern and what is wrong with it.
    [[nodiscard]] static std::shared_ptr<const Route> make_route(
        std::string_view method, std::string_view pattern, Handler handler,
        std::source_location where = {});

private:
    struct Node;
    void insert(std::shared_ptr<const Route> route);
    static const Node* match(const Node& node, std::string_view rest, PathParams& params) noexcept;

    std::vector<std::shared_ptr<const Route>> routes_;
    std::unique_ptr<Node> root_;
};

} // namespace weft::http::detail
