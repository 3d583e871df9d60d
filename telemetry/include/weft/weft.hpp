#pragma once
// The daily API: coroutines that carry their context, spans, metrics, what else travels, and the runtime they report to.
// HTTP is apart: <weft/http/server.hpp>, <weft/http/client.hpp>. Propagation by hand: <weft/propagation/composite.hpp>.

#include <weft/runtime/executor.hpp>
#include <weft/runtime/operators.hpp>
#include <weft/runtime/spawn.hpp>
#include <weft/runtime/with.hpp>
#include <weft/signals/counter.hpp>
#include <weft/signals/gauge.hpp>
#include <weft/signals/histogram.hpp>
#include <weft/signals/observable.hpp>
#include <weft/signals/span.hpp>
#include <weft/signals/traced.hpp>
#include <weft/telemetry/runtime.hpp>
