#pragma once
#include <weft/runtime/producer_gate.hpp>
#include <weft/runtime/record_queue.hpp>
#include <weft/signals/detail/span_counts.hpp>
#include <weft/signals/detail/span_processors.hpp>
#include <weft/signals/id_generator.hpp>
#include <weft/signals/limits.hpp>
#include <weft/signals/sampler.hpp>
#include <weft/signals/scope.hpp>

#include <atomic>
#include <cstdint>
#include <memory>

namespace weft::detail {

/// What spans need of a runtime. It is made by the runtime and never freed, because a span may outlive its runtime
/// and must then find something that says "closed"; its rings' memory is given back.
struct TraceProvider {
    TraceProvider(
        Sampler sampler_, SpanLimits limits_, std::size_t queue_bytes, unsigned shards,
        std::unique_ptr<SpanProcessors> processors_ = nullptr)
        : sampler(std::move(sampler_)), limits(limits_), processors(std::move(processors_)),
          queue(queue_bytes, shards) {}

    const Sampler sampler;
    const SpanLimits limits;
    const std::unique_ptr<SpanProcessors> processors; // Null, nearly always: there are none.
    std::shared_ptr<IdGenerator>
        id_generator;  // Set before the provider is published. Null: random ids.
    SpanCounts counts; // Enabled before the provider is published, where somebody asks.
    RecordQueue queue;
    ScopeListener scopes_to_queue{
        [](void* to, std::uint16_t index, const EncodedScope& scope) noexcept {
            static_cast<RecordQueue*>(to)->add_scope(index, scope.message, scope.schema_url);
        },
        &queue}; // Listens while the queue is durable.

    // Closed by shutdown, asked when a span ends.
    ProducerGate gate;
    // Spans that ended and were not accepted. Written by any thread, read by the ledger; relaxed: independent counts.
    std::atomic<std::uint64_t> dropped_queue_full{0};
    std::atomic<std::uint64_t> dropped_record_too_large{0};
    std::atomic<std::uint64_t> dropped_after_shutdown{0};
    // Spans that could not even start for want of memory. Part of the ledger as created and dropped.
    std::atomic<std::uint64_t> dropped_no_memory{0};
    // Of processes that died: in their ring files, and not to be read. As above.
    std::atomic<std::uint64_t> dropped_unrecoverable{0};

private:
    // A forked child begins with an empty ledger.
    static void on_fork_in_child(void* provider) noexcept {
        auto& self = *static_cast<TraceProvider*>(provider);
        for (auto* count :
             {&self.dropped_queue_full, &self.dropped_record_too_large,
              &self.dropped_after_shutdown, &self.dropped_no_memory, &self.dropped_unrecoverable}) {
            count->store(0, std::memory_order_relaxed); // There is one thread.
        }
        self.counts.begin_anew();
    }
    ForkRegistration at_fork_{{ForkOrder::lifecycle, this, nullptr, nullptr, on_fork_in_child}};
};

} // namespace weft::detail
