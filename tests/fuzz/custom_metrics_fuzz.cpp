// Input: what is posted.
// Claims: nothing crashes or throws; the answer is 200, 400, 403, 409 or 413 and its body is JSON; what is accepted is
// counted, and a refused request leaves neither measurements nor names behind. As an Authorization header, it lets nobody in.
#include <weft/custom_metrics/handler.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/detail/meter_provider.hpp>

#include <simdjson.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace weft;

void require(bool claim) {
    if (!claim) { std::abort(); }
}

// One for all inputs: names that came before are known to later ones.
CustomMetricsHandler& handler() {
    static CustomMetricsHandler& instance = *[] {
        diagnostics().set_level(DiagnosticLevel::none);
        CustomMetricsOptions options;
        options.allow_unauthenticated = true;
        options.meter = Meter("fuzz").bound_to(&detail::make_meter_provider({}));
        options.items_max = 16;
        options.names_max = 64;
        options.requests_per_second = 1e6;
        options.burst = 4'000'000'000;
        options.body_bytes_max = 4096;
        return new CustomMetricsHandler(std::move(options));
    }();
    return instance;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    CustomMetricsRequest request;
    request.method = "POST";
    request.content_type = "application/json";
    request.body = {reinterpret_cast<const char*>(data), size};
    const auto before = handler().stats();
    const auto answer = handler().handle(request);
    const auto after = handler().stats();
    switch (answer.status) {
    case 200:
        require(after.accepted == before.accepted + 1 && after.items <= before.items + 16);
        break;
    case 400:
    case 403:
    case 409:
    case 413:
        require(after.refused == before.refused + 1);
        require(after.items == before.items && after.names == before.names);
        break;
    default:
        require(false);
    }
    simdjson::dom::parser parser;
    require(parser.parse(answer.body).error() == simdjson::SUCCESS);
    static const Authorization& authorization = *new Authorization(
        {.user = "ann", .password = "a long secret", .bearer_tokens = {"another-long-secret"}});
    require(!authorization.allows(request.body));
    return 0;
}
