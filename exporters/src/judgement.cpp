#include "judgement.hpp"

#include "export_response.hpp"
#include "retry_after.hpp"

#include <utility>

namespace weft::detail {
namespace {

using Kind = Judgement::Kind;
using otlp::ExportVerdict;

Judgement judge_failure(const boost::system::error_code& error, const std::string& words) {
    Judgement judgement;
    judgement.words = words.empty() ? error.message() : words;
    if (error == Errc::response_too_large) {
        judgement.reason = DropReason::response_too_large;
    } else if (error == Errc::cancelled) {
        judgement.reason = DropReason::shutdown;
    } else {
        // A refused certificate too: a rotation mends it, and its batches would be lost to no purpose.
        judgement.kind = Kind::retry;
    }
    return judgement;
}

} // namespace

Judgement judge(
    const Result<HttpResponse>& response, const std::string& words, Compression compression,
    const Proxy* proxy) {
    if (!response) { return judge_failure(response.error(), words); }
    const auto retry_after =
        parse_retry_after(response->retry_after, std::chrono::system_clock::now());
    auto answer =
        otlp::classify({response->status, response->content_type, response->body, retry_after});
    Judgement judgement;
    judgement.status = response->status;
    judgement.words = std::move(answer.message);
    if (answer.verdict == ExportVerdict::success || answer.verdict == ExportVerdict::partial) {
        judgement.kind = Kind::accepted;
        judgement.rejected = answer.rejected;
        judgement.understood = answer.body_understood;
        return judgement;
    }
    if (proxy != nullptr && response->status == 407) {
        // The receiver never saw it: as with a connection that cannot be made.
        judgement.kind = Kind::retry;
        judgement.words = proxy_words(*proxy, response->status);
        return judgement;
    }
    const std::string code = "http_" + std::to_string(response->status);
    judgement.words = judgement.words.empty() ? code : code + ": " + judgement.words;
    if (answer.verdict == ExportVerdict::retryable) {
        judgement.kind = Kind::retry;
        judgement.retry_after = answer.retry_after.value_or(std::chrono::seconds(0));
        return judgement;
    }
    const bool perhaps_encoding = response->status == 400 || response->status == 415;
    if (compression == Compression::zstd && perhaps_encoding) {
        judgement.kind = Kind::encoding_refused;
    }
    judgement.reason = DropReason::rejected_by_status;
    return judgement;
}

std::string remedy_for(int status, Signal signal) {
    const bool elsewhere = status >= 300 && status <= 399;
    if (status != 404 && !elsewhere) { return {}; }
    std::string upper(name(signal));
    for (char& c : upper) { c = static_cast<char>(c - 'a' + 'A'); }
    return "; is this an OTLP/HTTP endpoint? /v1/" + std::string(name(signal)) +
           " is appended to OTEL_EXPORTER_OTLP_ENDPOINT, but not to OTEL_EXPORTER_OTLP_" + upper +
           "_ENDPOINT";
}

} // namespace weft::detail
