// Requests of all three signals have the same shape, and metrics go on:
//
//   request { 1: resource_* { resource, schema, 2: scope_* { scope, schema, 2: record } } }
//                                                               metric { name, unit, 5|7|9|10|11: data { 1: point } }
//
// Everything but the numbered children of a level is its envelope, which each part repeats that holds one of its children.

#include "request_splitter.hpp"

#include "record_shortener.hpp"

#include <protozero/pbf_reader.hpp>
#include <protozero/varint.hpp>

#include <span>
#include <string>
#include <string_view>

namespace weft::detail {
namespace {

using protozero::pbf_reader;

// Tags of length-delimited fields. Source: OTLP schema.
constexpr char tag_resource_records = 0x0a;
constexpr char tag_scope_records = 0x12;
constexpr char tag_record = 0x12;
constexpr char tag_point = 0x0a;
constexpr std::string_view metric_data_tags = "\x2a\x3a\x4a\x52\x5a";
constexpr std::size_t frame_bytes_max = 6; // Tag and length around up to 4 GiB.

void put(std::string& out, char tag, std::string_view content) {
    char digits[10];
    const auto size = protozero::add_varint_to_buffer(digits, content.size());
    out += tag;
    out.append(digits, static_cast<std::size_t>(size));
    out += content;
}

// A level of the message that is open: of which its children's parts are made.
struct Level {
    std::uint64_t id = 0; // Tells it from every other of the request.
    char tag = 0;         // In its parent.
    std::string envelope = {};

    [[nodiscard]] std::size_t bytes() const noexcept { return frame_bytes_max + envelope.size(); }
};

// Calls `child(tag, bytes)` for each field with one of the tags; what the others are, it returns.
template <class Child>
std::string for_each_child(std::string_view message, std::string_view tags, Child child) {
    std::string others;
    pbf_reader reader(message.data(), message.size());
    for (;;) { // Bound: each turn takes a field off.
        const char* const begin = reader.data().data();
        if (!reader.next()) { return others; }
        if (tags.find(*begin) != std::string_view::npos) { // All of them are one byte long.
            const auto bytes = reader.get_view();
            child(*begin, std::string_view(bytes.data(), bytes.size()));
        } else {
            reader.skip();
            others.append(begin, reader.data().data());
        }
    }
}

class Splitter {
public:
    Splitter(Signal signal, std::size_t bytes_max) : signal_(signal), bytes_max_(bytes_max) {}

    SplitBatch split(std::string_view request) {
        for_each_child(request, {&tag_resource_records, 1}, [&](char tag, std::string_view bytes) {
            descend(
                tag, bytes, {&tag_scope_records, 1}, [&](char scope_tag, std::string_view scope) {
                    descend(scope_tag, scope, {&tag_record, 1}, [&](char, std::string_view record) {
                        add_record(record);
                    });
                });
        });
        flush();
        return std::move(result_);
    }

private:
    // An open level of the part that is being made, with what it holds so far.
    struct Group {
        std::uint64_t id = 0;
        char tag = 0;
        std::string content; // Envelope and finished children.
    };

    // Goes through a level's children with the level on the path.
    template <class Child>
    void descend(char tag, std::string_view message, std::string_view tags, Child child) {
        auto envelope = for_each_child(message, tags, [](char, std::string_view) {});
        path_bytes_ += frame_bytes_max + envelope.size();
        path_.push_back({++last_id_, tag, std::move(envelope)});
        for_each_child(message, tags, child);
        path_bytes_ -= path_.back().bytes();
        path_.pop_back();
    }

    void add_record(std::string_view record) {
        const auto count = items_in(record);
        if (add(tag_record, record, count)) { return; }
        if (signal_ == Signal::metrics) {
            descend(tag_record, record, metric_data_tags, [&](char tag, std::string_view data) {
                descend(tag, data, {&tag_point, 1}, [&](char, std::string_view point) {
                    if (!add(tag_point, point, 1)) { ++result_.too_large; }
                });
            });
            return;
        }
        const auto around = path_bytes_ + frame_bytes_max;
        const auto shorter = around < bytes_max_
                                 ? shorten_record(signal_, record, bytes_max_ - around)
                                 : std::nullopt;
        if (shorter && add(tag_record, *shorter, count)) {
            ++result_.shortened;
        } else {
            result_.too_large += count;
        }
    }

    [[nodiscard]] std::uint64_t items_in(std::string_view record) const {
        if (signal_ != Signal::metrics) { return 1; }
        std::uint64_t points = 0;
        for_each_child(record, metric_data_tags, [&](char, std::string_view data) {
            for_each_child(data, {&tag_point, 1}, [&](char, std::string_view) { ++points; });
        });
        return points;
    }

    // False if it is larger than a part may be, even alone.
    bool add(char tag, std::string_view bytes, std::uint64_t records) {
        const auto own = frame_bytes_max + bytes.size();
        if (path_bytes_ + own > bytes_max_) { return false; }
        if (part_bytes_ + missing_bytes() + own > bytes_max_) { flush(); }
        open_path();
        put(groups_.back().content, tag, bytes);
        part_bytes_ += own;
        part_records_ += records;
        return true;
    }

    [[nodiscard]] std::size_t open_levels() const noexcept {
        std::size_t count = 0;
        while (count < groups_.size() && count < path_.size() &&
               groups_[count].id == path_[count].id) {
            ++count;
        }
        return count;
    }

    [[nodiscard]] std::size_t missing_bytes() const noexcept {
        std::size_t bytes = 0;
        for (const auto& level : std::span(path_).subspan(open_levels())) {
            bytes += level.bytes();
        }
        return bytes;
    }

    void open_path() {
        const auto common = open_levels();
        close_down_to(common);
        for (const auto& level : std::span(path_).subspan(common)) {
            groups_.push_back({level.id, level.tag, level.envelope});
            part_bytes_ += level.bytes();
        }
    }

    void close_down_to(std::size_t count) {
        while (groups_.size() > count) {
            const auto group = std::move(groups_.back());
            groups_.pop_back();
            put(groups_.empty() ? part_ : groups_.back().content, group.tag, group.content);
        }
    }

    void flush() {
        close_down_to(0);
        if (part_records_ != 0) {
            auto batch = std::make_shared<Batch>();
            batch->signal = signal_;
            batch->records = part_records_;
            batch->body = std::move(part_);
            result_.parts.push_back(std::move(batch));
        }
        part_.clear();
        part_bytes_ = 0;
        part_records_ = 0;
    }

    const Signal signal_;
    const std::size_t bytes_max_;
    SplitBatch result_;
    std::vector<Level> path_; // Of the record at hand.
    std::size_t path_bytes_ = 0;
    std::uint64_t last_id_ = 0;
    std::string part_;           // Its finished resources.
    std::vector<Group> groups_;  // Its open levels, outermost first.
    std::size_t part_bytes_ = 0; // At least what it will be.
    std::size_t part_records_ = 0;
};

} // namespace

Result<SplitBatch> split_batch(const Batch& batch, std::size_t bytes_max) {
    try {
        return Splitter(batch.signal, bytes_max).split(batch.body);
    } catch (const protozero::exception&) { return Errc::decode_failed; }
}

} // namespace weft::detail
