// Input: a baggage header, its lines separated by line feeds.
// Claims: nothing crashes; a member is kept or dropped whole and within the bounds; what was kept is written as a header
// that HTTP allows and read back as the same, unless encoding made it too long, and then entries are missing, not
// changed; any bytes may be names, values and metadata of a Baggage.
#include <weft/propagation/baggage.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace weft;

void require(bool claim) {
    if (!claim) { std::abort(); }
}

w3c::BaggageText checked_text(const Baggage& baggage) {
    const w3c::BaggageText text(baggage);
    require(std::all_of(text.view().begin(), text.view().end(), [](char c) {
        return (c >= 0x20 && c < 0x7f) || c == '\t';
    }));
    return text;
}

// For every name that was read back, the value that was sent.
void check_written(const Baggage& baggage, bool metadata_too) {
    const auto text = checked_text(baggage);
    const auto again = w3c::parse_baggage(text.view());
    require(again.size() + text.dropped() == baggage.size());
    for (const auto entry : again) {
        const auto original = baggage.find(entry.name);
        require(original && original->value == entry.value);
        require(!metadata_too || original->metadata == entry.metadata);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    w3c::BaggageParser parser;
    std::size_t members = 0;
    for (auto rest = input; !rest.empty();) {
        const auto end = std::min(rest.find('\n'), rest.size());
        const auto line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        parser.add_line(line);
        members += 1 + static_cast<std::size_t>(std::count(line.begin(), line.end(), ','));
    }
    const auto baggage = parser.finish();
    require(baggage.size() + parser.dropped() <= members);
    std::size_t bytes = 0;
    for (const auto entry : baggage) {
        require(!entry.name.empty());
        bytes += entry.name.size() + entry.value.size() + entry.metadata.size();
    }
    require(bytes <= Baggage::bytes_max && baggage.size() <= Baggage::entries_max);
    check_written(baggage, true);

    // Bytes as they come, such as a program may set. Values that are no UTF-8 are read back repaired.
    const auto third = size / 3;
    (void)checked_text(
        baggage.set(input.substr(0, third), input.substr(third, third), input.substr(2 * third)));
    return 0;
}
