#include "span_record.hpp"
#include "utf8.hpp"

#include <weft/runtime/fork.hpp>
#include <weft/runtime/record.hpp>
#include <weft/signals/composable_sampler.hpp>
#include <weft/signals/span.hpp>

namespace weft {
namespace detail {
namespace {

// Tag bytes of Span and its children. Source: OTLP schema, trace.v1.
constexpr char tag_trace_id = 0x0a;
constexpr char tag_span_id = 0x12;
constexpr char tag_trace_state = 0x1a;
constexpr char tag_parent_span_id = 0x22;
constexpr char tag_name = 0x2a;
constexpr char tag_kind = 0x30;
constexpr char tag_start_time = 0x39;
constexpr char tag_end_time = 0x41;
constexpr char tag_attribute = 0x4a;
constexpr char tag_dropped_attributes = 0x50;
constexpr char tag_event = 0x5a;
constexpr char tag_dropped_events = 0x60;
constexpr char tag_link = 0x6a;
constexpr char tag_dropped_links = 0x70;
constexpr char tag_status = 0x7a;
constexpr char tag_flags[2] = {static_cast<char>(0x85), 0x01};
constexpr char scope_spans_span = 0x12; // The field of ScopeSpans that a record's body is.

// Source: OTLP schema, SpanFlags.
constexpr std::uint32_t flag_remote_known = 0x100;
constexpr std::uint32_t flag_remote = 0x200;

// Everything that is not `body`, at its longest, and the record's own header.
constexpr std::uint32_t fixed_bytes_max = sizeof(RecordHeader) + 128;

wire::ValueLimits value_limits(const SpanLimits& limits) noexcept {
    return {limits.attribute_value_length, limits.attribute_value_depth};
}

std::uint64_t key_bit(std::string_view key) noexcept {
    // Length and the two ends tell nearly all keys of one span apart; a collision only costs a search.
    const auto first = static_cast<unsigned char>(key.front());
    const auto last = static_cast<unsigned char>(key.back());
    const auto middle = static_cast<unsigned char>(key[key.size() / 2]);
    return std::uint64_t{1} << ((key.size() * 7 + first * 5U + middle * 11U + last * 3U) & 63);
}

std::uint32_t read_varint(const char*& p) noexcept {
    std::uint32_t value = 0;
    for (int shift = 0;; shift += 7) { // Bound: our own encoding, five bytes at most.
        const auto byte = static_cast<unsigned char>(*p++);
        value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
        if (byte < 0x80) { return value; }
    }
}

// The attribute field with this key, if there is one. All fields of `body` are length-delimited.
// Keys in it are repaired, `key` is as the caller gave it.
SpanRecord::Region find_attribute(
    const SpanRecord& record, std::string_view key, bool ascii) noexcept {
    const char* const begin = record.body.data();
    const char* const end = begin + record.body.size();
    for (const char* p = begin; p < end;) {
        const char* const field = p;
        const char tag = *p++;
        const std::uint32_t length = read_varint(p);
        const char* const next = p + length;
        if (tag == tag_attribute) {
            ++p; // KeyValue.key comes first, always.
            const std::uint32_t key_length = read_varint(p);
            const std::string_view found(p, key_length);
            if (found == key || (!ascii && are_equal_repaired(found, key))) {
                return {
                    static_cast<std::uint32_t>(field - begin),
                    static_cast<std::uint32_t>(next - field)};
            }
        }
        p = next;
    }
    return {};
}

void cut(SpanRecord& record, SpanRecord::Region region) noexcept {
    record.body.erase(region.at, region.size);
    for (auto* other : {&record.name, &record.status_field}) {
        if (other->at > region.at) { other->at -= region.size; }
    }
}

void set_attribute(SpanRecord& record, std::string_view key, const AttributeValue& value) noexcept {
    const SpanLimits& limits = record.provider->limits;
    if (key.empty()) {
        ++record.dropped_attributes;
        return;
    }
    // Keys that become equal by repair must share a bit.
    const bool ascii = is_ascii(key);
    const auto bit = ascii ? key_bit(key) : 1;
    SpanRecord::Region old;
    if ((record.keys_seen & bit) != 0) { old = find_attribute(record, key, ascii); }
    if (old.size == 0 && record.attributes >= limits.attribute_count) {
        ++record.dropped_attributes;
        return;
    }
    if (!wire::put_attribute(record.body, tag_attribute, key, value, value_limits(limits))) {
        ++record.dropped_attributes; // No room: the old value, if any, stays.
        return;
    }
    if (old.size != 0) {
        cut(record, old);
    } else {
        ++record.attributes;
        record.keys_seen |= bit;
    }
}

void set_name(SpanRecord& record, std::string_view name) noexcept {
    const auto mark = record.body.size();
    record.body.put_text_field(tag_name, name, SpanLimits::unlimited);
    if (record.body.failed()) {
        record.body.roll_back(mark);
        return;
    }
    const auto old = record.name;
    record.name = {mark, record.body.size() - mark};
    if (old.size != 0) { cut(record, old); }
}

void add_link(
    SpanRecord& record, const TraceContext& context,
    std::span<const Attribute> attributes) noexcept {
    const SpanLimits& limits = record.provider->limits;
    // Source: OpenTelemetry Trace API, "Link": one that identifies nothing and says nothing is not recorded.
    if (!context.is_valid() && attributes.empty() && context.state.empty()) { return; }
    if (record.links >= limits.link_count) {
        ++record.dropped_links;
        return;
    }
    auto& body = record.body;
    const auto mark = body.size();
    const auto start = body.begin_message(tag_link);
    body.put_bytes_field(0x0a, context.span.trace_id.bytes.data(), 16);
    body.put_bytes_field(0x12, context.span.span_id.bytes.data(), 8);
    if (!context.state.empty()) {
        body.put_text_field(0x1a, context.state.text(), SpanLimits::unlimited);
    }
    const auto discarded = wire::put_attributes(
        body, 0x22, attributes, limits.link_attribute_count, value_limits(limits));
    if (discarded != 0) { body.put_varint_field(0x28, discarded); }
    if (char* p = body.room(5); p != nullptr) {
        *p = 0x35;
        const std::uint32_t remote = context.span.is_remote ? flag_remote : 0U;
        body.advance_to(wire::put_fixed32(
            p + 1, (context.span.flags & trace_flags::known) | flag_remote_known | remote));
    }
    body.end_message(start);
    if (body.failed()) {
        body.roll_back(mark);
        ++record.dropped_links;
        return;
    }
    ++record.links;
}

inline char* put_id(char* p, char tag, const void* id, std::size_t size) noexcept {
    *p++ = tag;
    *p++ = static_cast<char>(size);
    return wire::put_bytes(p, id, size);
}

char* put_count(char* p, char tag, std::uint32_t count) noexcept {
    if (count == 0) { return p; }
    *p++ = tag;
    return wire::put_varint(p, count);
}

std::size_t count_size(std::uint32_t count) noexcept {
    return count == 0 ? 0 : 1 + static_cast<std::size_t>(protozero::length_of_varint(count));
}

// What put_fixed_fields is going to write.
std::size_t fixed_fields_size(const SpanRecord& record) noexcept {
    constexpr std::size_t always = 18 + 10 + 2 + 9 + 9 + 6; // Ids, kind, times, flags.
    return always + (record.has_parent ? 10U : 0U) + count_size(record.dropped_attributes) +
           count_size(record.dropped_events) + count_size(record.dropped_links);
}

// The fields that are known only now.
char* put_fixed_fields(const SpanRecord& record, char* p) noexcept {
    p = put_id(p, tag_trace_id, record.span.trace_id.bytes.data(), 16);
    p = put_id(p, tag_span_id, record.span.span_id.bytes.data(), 8);
    if (record.has_parent) {
        p = put_id(p, tag_parent_span_id, record.parent_span_id.bytes.data(), 8);
    }
    *p++ = tag_kind;
    *p++ = static_cast<char>(record.kind);
    *p++ = tag_start_time;
    p = wire::put_fixed64(p, static_cast<std::uint64_t>(record.start_unix_ns));
    *p++ = tag_end_time;
    p = wire::put_fixed64(p, static_cast<std::uint64_t>(record.end_unix_ns));
    p = put_count(p, tag_dropped_attributes, record.dropped_attributes);
    p = put_count(p, tag_dropped_events, record.dropped_events);
    p = put_count(p, tag_dropped_links, record.dropped_links);
    p = wire::put_bytes(p, tag_flags, sizeof tag_flags);
    const std::uint32_t remote = record.parent_is_remote ? flag_remote : 0U;
    return wire::put_fixed32(
        p, (record.span.flags & trace_flags::known) | flag_remote_known | remote);
}

RecordHeader header_of(const SpanRecord& record) noexcept {
    RecordHeader header;
    header.scope = record.scope;
    header.flags = record_flags::sampled;
    if (record.status == StatusCode::error) { header.flags |= record_flags::error; }
    if (!record.has_parent || record.parent_is_remote) { header.flags |= record_flags::local_root; }
    header.trace_id = record.span.trace_id;
    header.span_id = record.span.span_id;
    header.start_unix_ns = record.start_unix_ns;
    header.end_unix_ns = record.end_unix_ns;
    return header;
}

// For a span that is not known to be welcome: one of the parent process, or too late, or the first of this process.
[[gnu::noinline]] bool is_refused(const SpanRecord& record) noexcept {
    const auto answer = record.provider->gate.look_again(record.generation);
    if (answer == ProducerGate::Answer::closed) {
        record.provider->dropped_after_shutdown.fetch_add(
            1, std::memory_order_relaxed); // A counter.
    }
    return answer != ProducerGate::Answer::accepted;
}

// Sends an ended, sampled span on its way. Whatever cannot go is counted.
void push(SpanRecord& record) noexcept {
    TraceProvider& provider = *record.provider;
    if (!provider.gate.is_open_for(record.generation)) [[unlikely]] {
        if (is_refused(record)) { return; }
    }
    const std::size_t fixed_size = fixed_fields_size(record);
    const std::string_view state = record.state.text();
    const std::size_t state_size =
        state.empty() ? 0
                      : 1 + static_cast<std::size_t>(protozero::length_of_varint(state.size())) +
                            state.size();
    const std::size_t message = fixed_size + state_size + record.body.size();
    const std::size_t prefix = 1 + static_cast<std::size_t>(protozero::length_of_varint(message));
    const auto pushed = provider.queue.push(
        sizeof(RecordHeader) + prefix + message, [&](std::byte* place) noexcept {
            char* p = reinterpret_cast<char*>(place);
            const RecordHeader header = header_of(record);
            p = wire::put_bytes(p, &header, sizeof header);
            *p++ = scope_spans_span;
            p = wire::put_varint(p, message);
            p = put_fixed_fields(record, p);
            if (state_size != 0) {
                *p++ = tag_trace_state;
                p = wire::put_bytes(wire::put_varint(p, state.size()), state.data(), state.size());
            }
            wire::put_bytes(p, record.body.data(), record.body.size());
        });
    if (pushed == RecordQueue::Push::accepted) [[likely]] { return; }
    auto& counter = pushed == RecordQueue::Push::full ? provider.dropped_queue_full
                                                      : provider.dropped_record_too_large;
    counter.fetch_add(1, std::memory_order_relaxed); // A counter.
}

[[maybe_unused]] ForkGuard spans_at_fork(ForkOrder::leaf, SpanPool::mutex());

void release(SpanRecord& record) noexcept {
    if (record.recording) { record.body.release(); }
    record.recording = false;
    if (!record.state.empty()) { record.state = {}; }
    SpanPool::release(&record);
}

// For the context's messages: as encoded, so that it is never longer than the body.
std::string_view name_of(const ScopeNode& node) noexcept {
    const auto& record = static_cast<const SpanRecord&>(node);
    if (!record.recording) { return {}; }
    const char* field = record.body.data() + record.name.at + 1; // Behind the tag.
    const std::uint32_t length = read_varint(field);
    return {field, length};
}
[[maybe_unused]] const bool names_are_known =
    (scope_name = &name_of, names_in_slot = &open_names_in_slot, true);

// Called once the span is out of its slot: by its owner, or by the slot's holder for one that ended elsewhere.
void finish(ScopeNode* node) noexcept {
    auto& record = static_cast<SpanRecord&>(*node);
    // What is recorded but not sampled is for processors alone.
    if (record.recording && record.span.is_sampled()) { push(record); }
    release(record);
}

// A parent context that merely passes through, while telemetry is off or the parent must stay current.
// An invalid one hides what is current: the span is no child of that.
SpanRecord* pass_through(
    ContextSlot& slot, const TraceContext& parent, bool make_current) noexcept {
    SpanRecord* record = SpanPool::acquire();
    if (record == nullptr) { return nullptr; }
    record->span = parent.span;
    record->state = parent.state;
    record->wall_offset_ns = 0;
    record->recording = false;
    record->finish = &finish;
    record->slot = nullptr;
    if (make_current) { link_scope(slot, *record); }
    return record;
}

// From here on open_spans() finds the span.
void show(SpanRecord& record, const SpanStart& how, std::source_location where) noexcept {
    static constexpr SpanId none{};
    static constexpr char no_name[Shown::name_bytes] = {};
    record.place.store(0, std::memory_order_release); // Shown's S2: it may be from an earlier life.
    const bool named = record.name.size != 0; // The body's first field, so that enough follows it.
    record.shown.open(
        {record.span, record.has_parent ? record.parent_span_id : none,
         record.start_unix_ns - record.wall_offset_ns, where, how.scope,
         static_cast<std::uint8_t>(record.kind), how.is_operation},
        named ? record.body.data() + record.name.at + 1 : no_name,
        named ? record.name.size - 1 : 1);
}

void begin_recording(
    SpanRecord& record, const SpanStart& how, std::string_view name,
    std::span<const Attribute> attributes, const SpanOptions& options,
    std::source_location where) noexcept {
    TraceProvider& provider = *how.provider;
    record.provider = &provider;
    record.generation = provider.gate.generation();
    record.scope = how.scope;
    record.kind = options.kind;
    record.status = StatusCode::unset;
    record.keys_seen = 0;
    record.name = {};
    record.status_field = {};
    record.attributes = record.events = record.links = 0;
    record.dropped_attributes = record.dropped_events = record.dropped_links = 0;
    const auto record_max = provider.queue.record_max();
    const auto state = record.state.text().size();
    const auto overhead = std::min<std::size_t>(record_max, fixed_bytes_max + state + 16);
    record.body.reset(
        record.storage, SpanRecord::inline_bytes,
        static_cast<std::uint32_t>(
            std::max<std::size_t>(record_max - overhead, SpanRecord::inline_bytes)));
    set_name(record, name);
    for (const auto& attribute : attributes) {
        set_attribute(record, attribute.key, attribute.value);
    }
    for (const auto& link : options.links) { add_link(record, link.context, link.attributes); }
    record.start_unix_ns = options.start_time.unix_ns;
    // Read last: what came before is the caller's to pay for, not the span's.
    if (record.start_unix_ns == 0) {
        record.start_unix_ns = steady_now_ns() + record.wall_offset_ns;
    }
    show(record, how, where);
}

// A span for which there is no record, or no context on a thread that is ending, is lost only if it would have been
// sampled.
[[gnu::noinline]] void count_unrecorded(
    const SpanContext* parent, const TraceState& state, const SpanStart& how, std::string_view name,
    std::span<const Attribute> attributes, const SpanOptions& options) noexcept {
    const TraceId trace_id = parent != nullptr ? parent->trace_id : random_trace_id();
    const auto result = how.provider->sampler.should_sample(
        {parent, state, trace_id, name, options.kind, attributes, options.links, 0});
    if (result.decision == SamplingDecision::record_and_sample) {
        auto& counter = how.provider->gate.is_open() ? how.provider->dropped_no_memory
                                                     : how.provider->dropped_after_shutdown;
        counter.fetch_add(1, std::memory_order_relaxed); // A counter.
    }
}

// Replaces the ids of a new span by the program's own, where those are valid.
[[gnu::noinline]] void take_generated_ids(
    IdGenerator& generator, SpanRecord& record, bool has_parent) noexcept {
    if (const SpanId id = generator.new_span_id(); id.is_valid()) { record.span.span_id = id; }
    if (has_parent) { return; }
    if (const TraceId id = generator.new_trace_id(); id.is_valid()) {
        record.span.trace_id = id;
        if (!generator.is_random()) { record.span.flags = 0; }
    }
}

// For samplers that look at more than ids. Apart, so that what it needs on the stack is not every span's to set up.
[[gnu::noinline]] void ask_sampler(
    SpanRecord& record, const SpanContext* parent, const SpanStart& how, std::string_view name,
    std::span<const Attribute> attributes, const SpanOptions& options,
    std::source_location where) noexcept {
    auto result = how.provider->sampler.should_sample(
        {parent, record.state, record.span.trace_id, name, options.kind, attributes, options.links,
         0});
    record.state = std::move(result.trace_state);
    record.recording = result.decision != SamplingDecision::drop;
    if (!record.recording) { return; }
    if (result.decision == SamplingDecision::record_and_sample) {
        record.span.flags |= trace_flags::sampled;
    }
    if (record.wall_offset_ns == 0) { record.wall_offset_ns = wall_offset_ns(); }
    begin_recording(record, how, name, attributes, options, where);
    for (const auto& attribute : result.intent.attributes()) {
        set_attribute(record, attribute.key, attribute.value);
    }
    record.dropped_attributes += result.intent.discarded();
}

} // namespace

bool put_event(
    SpanRecord& record, std::string_view name, std::span<const Attribute> attributes,
    std::int64_t time, std::uint32_t discarded_before) noexcept {
    const SpanLimits& limits = record.provider->limits;
    if (record.events >= limits.event_count) {
        ++record.dropped_events;
        return true;
    }
    auto& body = record.body;
    const auto mark = body.size();
    const auto start = body.begin_message(tag_event);
    body.put_fixed64_field(0x09, static_cast<std::uint64_t>(time));
    body.put_text_field(0x12, name, SpanLimits::unlimited);
    const auto discarded =
        discarded_before +
        wire::put_attributes(
            body, 0x1a, attributes, limits.event_attribute_count, value_limits(limits));
    if (discarded != 0) { body.put_varint_field(0x20, discarded); }
    body.end_message(start);
    if (body.failed()) {
        body.roll_back(mark);
        return false;
    }
    ++record.events;
    return true;
}

SpanRecord* start_span(
    SpanStart how, std::string_view name, std::span<const Attribute> attributes,
    const SpanOptions& options, std::source_location where) noexcept {
    ContextSlot* slot = active_slot();
    if (slot == nullptr) [[unlikely]] {
        if (how.provider != nullptr) {
            const TraceContext& parent = options.parent.context();
            count_unrecorded(
                parent.is_valid() ? &parent.span : nullptr, parent.state, how, name, attributes,
                options);
        }
        return nullptr;
    }
    if (how.provider == nullptr) {
        return pass_through(*slot, options.parent.context(), how.make_current);
    }
    if (slot->suppressed) { return nullptr; }

    const SpanContext* parent = &slot->base;
    const TraceState* parent_state = &slot->base_state;
    std::int64_t inherited_offset = slot->wall_offset_ns;
    if (options.parent.is_explicit()) {
        parent = &options.parent.context().span;
        parent_state = &options.parent.context().state;
        inherited_offset = 0;
    } else if (const ScopeNode* node = innermost(*slot); node != nullptr) {
        parent = &node->span;
        parent_state = &node->state;
        inherited_offset = node->wall_offset_ns;
    }
    const bool has_parent = parent->is_valid();

    SpanRecord* record = SpanPool::acquire();
    if (record == nullptr) [[unlikely]] {
        count_unrecorded(
            has_parent ? parent : nullptr, *parent_state, how, name, attributes, options);
        return nullptr;
    }
    if (has_parent) {
        record->span.trace_id = parent->trace_id;
        record->span.flags = parent->flags & (trace_flags::random | trace_flags::debug);
        record->span.span_id = random_span_id();
        record->parent_span_id = parent->span_id;
        if (!parent_state->empty()) { record->state = *parent_state; }
    } else {
        random_ids(record->span.trace_id, record->span.span_id);
        record->span.flags = trace_flags::random;
    }
    if (IdGenerator* generator = how.provider->id_generator.get(); generator != nullptr)
        [[unlikely]] {
        take_generated_ids(*generator, *record, has_parent);
    }
    record->span.is_remote = false;
    record->has_parent = has_parent;
    record->parent_is_remote = has_parent && parent->is_remote;
    record->wall_offset_ns = inherited_offset;
    record->finish = &finish;
    record->slot = nullptr;
    const Sampler& sampler = how.provider->sampler;
    const auto answer = sampler.look_up(has_parent ? parent : nullptr, record->span.trace_id);
    if (answer == Sampler::Answer::ask) [[unlikely]] {
        ask_sampler(*record, has_parent ? parent : nullptr, how, name, attributes, options, where);
    } else {
        if (!record->state.empty() && !sampler.keeps_weight(parent)) [[unlikely]] {
            record->state = with_threshold(record->state, std::nullopt);
        }
        record->recording = answer == Sampler::Answer::sample;
        if (record->recording) {
            record->span.flags |= trace_flags::sampled;
            if (inherited_offset == 0) { record->wall_offset_ns = wall_offset_ns(); }
            begin_recording(*record, how, name, attributes, options, where);
        }
    }
    record->count_start(*how.provider);
    if (record->recording) {
        if (auto* processors = how.provider->processors.get(); processors != nullptr) [[unlikely]] {
            processors->start(*record, has_parent ? *parent : SpanContext{}, *parent_state);
            slot = active_slot(); // The slice may have given it up meanwhile.
            if (slot == nullptr) { return record; }
        }
    }
    if (how.make_current) { link_scope(*slot, *record); }
    return record;
}

void end_span(SpanRecord* record, std::int64_t end_unix_ns) noexcept {
    if (record->recording) {
        if (end_unix_ns == 0) {
            // A start given by the caller may lie in the future; a duration must not be negative for it.
            end_unix_ns = std::max(steady_now_ns() + record->wall_offset_ns, record->start_unix_ns);
        }
        record->end_unix_ns = end_unix_ns;
        record->shown.close();
        record->count_end();
        if (auto* processors = record->provider->processors.get(); processors != nullptr)
            [[unlikely]] {
            processors->end(*record);
        }
    }
    if (unlink_scope(*record)) { finish(record); }
}

} // namespace detail

bool SpanOperations::is_recording() const noexcept {
    return record_ != nullptr && record_->recording;
}

void SpanOperations::set_attribute(std::string_view key, const AttributeValue& value) noexcept {
    if (is_recording()) { detail::set_attribute(*record_, key, value); }
}

void SpanOperations::set_attributes(std::initializer_list<Attribute> attributes) noexcept {
    if (!is_recording()) { return; }
    for (const auto& attribute : attributes) {
        detail::set_attribute(*record_, attribute.key, attribute.value);
    }
}

void SpanOperations::add_event(
    std::string_view name, std::initializer_list<Attribute> attributes, WallTime time) noexcept {
    if (!is_recording()) { return; }
    const auto at = time.unix_ns != 0 ? time.unix_ns : steady_now_ns() + record_->wall_offset_ns;
    if (!detail::put_event(*record_, name, {attributes.begin(), attributes.size()}, at, 0)) {
        ++record_->dropped_events;
    }
}

void SpanOperations::add_link(
    const TraceContext& context, std::initializer_list<Attribute> attributes) noexcept {
    if (is_recording()) {
        detail::add_link(*record_, context, {attributes.begin(), attributes.size()});
    }
}

void SpanOperations::set_status(StatusCode code, std::string_view description) noexcept {
    if (!is_recording() || code == StatusCode::unset || record_->status == StatusCode::ok) {
        return;
    }
    auto& body = record_->body;
    const auto mark = body.size();
    const auto start = body.begin_message(detail::tag_status);
    if (code == StatusCode::error && !description.empty()) {
        body.put_text_field(0x12, description, SpanLimits::unlimited);
    }
    body.put_varint_field(0x18, static_cast<std::uint64_t>(code));
    body.end_message(start);
    if (body.failed()) {
        body.roll_back(mark);
        return;
    }
    record_->status = code;
    const auto old = record_->status_field;
    record_->status_field = {mark, body.size() - mark};
    if (old.size != 0) { detail::cut(*record_, old); }
}

void SpanOperations::set_error(std::string_view error_type, std::string_view description) noexcept {
    if (!is_recording()) { return; }
    detail::set_attribute(*record_, "error.type", error_type);
    set_status(StatusCode::error, description);
}

void SpanOperations::update_name(std::string_view name) noexcept {
    if (!is_recording()) { return; }
    detail::set_name(*record_, name);
    if (const auto now = record_->name; now.size != 0) {
        record_->shown.rename(record_->body.data() + now.at + 1, now.size - 1); // Behind the tag.
    }
}

Span Span::detached(
    const Tracer& tracer, std::string_view name, std::initializer_list<Attribute> attributes,
    const SpanOptions& options, std::source_location where) noexcept {
    Span span;
    auto* provider = tracer.provider();
    if (provider != nullptr || options.parent.is_explicit()) {
        span.record_ = detail::start_span(
            {provider, tracer.scope_index(), false}, name, {attributes.begin(), attributes.size()},
            options, where);
    }
    return span;
}

Span Span::operation(
    const Tracer& tracer, std::string_view name, SpanKind kind,
    std::source_location where) noexcept {
    Span span;
    if (auto* provider = tracer.provider(); provider != nullptr) {
        span.record_ = detail::start_span(
            {provider, tracer.scope_index(), false, true}, name, {}, {.kind = kind}, where);
    }
    return span;
}

Span Span::following(
    const Tracer& tracer, std::string_view name, std::initializer_list<Attribute> attributes,
    SpanKind kind, std::source_location where) noexcept {
    const Link link{.context = current_trace_context(), .attributes = {}};
    return Span(
        tracer, name, attributes, {.kind = kind, .parent = SpanParent::root(), .links = {&link, 1}},
        where);
}

void Span::make_current() noexcept {
    if (record_ == nullptr || record_->slot != nullptr) { return; }
    if (auto* slot = detail::active_slot(); slot != nullptr) {
        detail::link_scope(*slot, *record_);
    }
}

SpanContext Span::context() const noexcept {
    return record_ != nullptr ? record_->span : ended_.span;
}

TraceContext Span::trace_context() const noexcept {
    return record_ != nullptr ? TraceContext{record_->span, record_->state} : ended_;
}

SpanTimes Span::times() const noexcept {
    if (!is_recording()) { return {}; }
    const auto now = steady_now_ns() + record_->wall_offset_ns;
    return {WallTime(record_->start_unix_ns), WallTime(std::max(now, record_->start_unix_ns))};
}

void Span::end(WallTime time) noexcept {
    if (record_ == nullptr) { return; }
    ended_ = {record_->span, record_->state};
    detail::end_span(std::exchange(record_, nullptr), time.unix_ns);
}

CurrentSpan::CurrentSpan() noexcept {
    if (auto* slot = detail::active_slot(); slot != nullptr) {
        record_ = static_cast<detail::SpanRecord*>(detail::innermost(*slot));
    }
}

bool Tracer::is_enabled() const noexcept {
    const auto* from = provider();
    return from != nullptr && from->gate.is_open();
}

std::uint16_t Tracer::register_now() const noexcept {
    const auto index = detail::register_scope({name_, version_, schema_url_});
    index_.store(index, std::memory_order_relaxed); // See scope_index.
    return index;
}

} // namespace weft
