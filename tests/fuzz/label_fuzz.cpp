// Input: a request target, behind one byte that says how large the buffer is.
// Claims: nothing crashes; a normal path fits its buffer, is printable ASCII that begins with '/' and holds no query, and stays as it
// is; hashed labels and buckets of any text are in their bounds.
#include <weft/signals/label.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace weft;

void require(bool claim) {
    if (!claim) { std::abort(); }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) { return 0; }
    const std::string_view target(reinterpret_cast<const char*>(data) + 1, size - 1);
    std::vector<char> buffer(data[0]);
    const std::string path(normalize_path(target, buffer));
    require(path.size() <= buffer.size());
    require(path.empty() == buffer.empty());
    if (!path.empty()) {
        require(path[0] == '/');
        require(std::all_of(path.begin(), path.end(), [](char c) { return c > 0x20 && c < 0x7f; }));
        require(path.find_first_of("?#;@") == std::string::npos);
        require(
            std::count(path.begin(), path.end(), '/') <=
            static_cast<std::ptrdiff_t>(path_segments_max) + 1);
        require(normalize_path(path, buffer) == path);
    }
    PathBuffer usual;
    require(route_label(target, path, usual).size() <= std::max(target.size(), usual.size()));
    require(hashed_label(target).view().size() == 16);
    require(label_bucket(target, data[0]).view().size() <= 3);
    return 0;
}
