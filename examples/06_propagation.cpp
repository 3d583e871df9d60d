// Shows: a context read from one message's headers and written into another's, in the formats of its receiver.
// Expect: the B3 and baggage headers of the second message, with the ids of the first one's traceparent.

#include <weft/propagation/composite.hpp>

#include <cstdio>
#include <map>
#include <string>

using Headers = std::map<std::string, std::string>; // Or Beast's fields, pairs in a vector, ...

int main() {
    const Headers request{
        {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"baggage", "tenant=7;internal"},
    };
    Headers message;
    // [readme:propagation]
    const weft::Propagators in; // Trace context and baggage, the default.
    const weft::Propagators out{weft::Propagator::b3, weft::Propagator::baggage};

    auto context = weft::extract(in, request);
    context.baggage = context.baggage.set("region", "north");
    weft::inject(out, context, message);
    // [/readme:propagation]
    for (const auto& [name, value] : message) {
        std::printf("%s: %s\n", name.c_str(), value.c_str());
    }
    return message.size() == 2 ? 0 : 1;
}
