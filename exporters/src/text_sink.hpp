#pragma once
#include "progress.hpp"

#include <weft/exporters/sink.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace weft::detail {

namespace asio = boost::asio;

/// Where text goes. Threads: one at a time.
class TextOutput {
public:
    TextOutput() = default;
    TextOutput(const TextOutput&) = delete;
    TextOutput& operator=(const TextOutput&) = delete;
    virtual ~TextOutput() = default;

    /// Writes what can be written now and cuts it off `left`. Errors: why `left` is not empty; `would_block`: the reader
    /// is slow, which is no fault.
    [[nodiscard]] virtual boost::system::error_code write(std::string_view& left) = 0;
};

/// Writes batches as text to an output, one at a time; what cannot be written is tried again, at a bounded pace.
class TextSink final : public Sink {
public:
    struct Setup {
        asio::any_io_executor executor;
        std::unique_ptr<TextOutput> output;
        /// Empty when the batch cannot be read. It may throw.
        std::function<std::string(const Batch&)> encode;
        std::string name; ///< For messages: "file /var/log/x.jsonl".
        std::chrono::milliseconds retry_interval;
        std::chrono::milliseconds retry_for;
        Diagnostics& log;
    };
    explicit TextSink(Setup setup);

    [[nodiscard]] asio::awaitable<SendOutcome> send(std::shared_ptr<const Batch> batch) override;
    [[nodiscard]] asio::awaitable<void> stop(TimePoint deadline) override;
    [[nodiscard]] std::size_t connections() const noexcept override { return 1; }

private:
    struct State;
    static asio::awaitable<SendOutcome> write(
        std::shared_ptr<State> state, std::shared_ptr<const Batch> batch);

    std::shared_ptr<State> state_; // Shared with sends under way.
};

} // namespace weft::detail
