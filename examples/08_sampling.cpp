// Which traces are kept: a head sampler that holds a rate and leaves health checks out, and a tail decision that keeps
// every error. Expect: the ledger, with what the tail decision dropped as tail_sampled_out, or, without a receiver on
// port 4318, the rest as shutdown.
#include <weft/signals/adaptive_sampler.hpp>
#include <weft/signals/composable_sampler.hpp>
#include <weft/signals/rule_sampler.hpp>
#include <weft/weft.hpp>

#include <cstdio>

// [readme:custom]
// Keeps what a tester marked, and nothing else.
class MarkedOnly final : public weft::ComposableSampler {
public:
    weft::SamplingIntent intent(const weft::SamplingInput& input) noexcept override {
        for (const auto& attribute : input.attributes) {
            if (attribute.key == "test.marked") { return weft::SamplingIntent::at(0); }
        }
        return weft::SamplingIntent::unweighted(false);
    }
    std::string description() const override { return "MarkedOnly"; }
};
// [/readme:custom]

int main() {
    weft::Options options = weft::options_from_env();
    // [readme:head]
    options.sampler = weft::Sampler::parent_based(weft::rule_sampler(
        {{.name = "GET /health", .sampler = weft::Sampler::always_off()},
         {.attributes = {{"enduser.tier", "gold"}}, .sampler = weft::Sampler::always_on()},
         {.name = "test *", .sampler = weft::Sampler::composed(std::make_shared<MarkedOnly>())}},
        weft::adaptive_sampler({.target_per_second = 200})));
    // [/readme:head]
    // [readme:tail]
    options.tail_sampling.enabled = true;
    options.tail_sampling.latency = std::chrono::milliseconds(500);
    options.tail_sampling.latency_percentile = 0.99;
    options.tail_sampling.rare_per_minute = 5;
    options.tail_sampling.probability = 0.1; // Of what is neither failed, slow nor rare.
    // [/readme:tail]
    weft::Runtime runtime(std::move(options));

    for (int i = 0; i < 1000; ++i) {
        weft::Span request(i % 10 == 0 ? "GET /health" : "GET /orders/{id}");
        weft::Span work("load order");
        if (i % 50 == 1) { work.set_error("order_missing"); }
    }

    (void)runtime.shutdown_blocking(std::chrono::seconds(2));
    const weft::Ledger ledger = runtime.ledger();
    std::printf(
        "ledger: %s\nbalanced: %s\n", ledger.to_json().c_str(),
        ledger.is_balanced() ? "yes" : "no");
    return ledger.is_balanced() ? 0 : 1;
}
