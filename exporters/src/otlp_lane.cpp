#include "otlp_lane.hpp"

#include "otlp_json.hpp"
#include "tls_client.hpp"

#include <utility>

namespace weft::detail {
namespace {

constexpr std::size_t idle_bytes_max = 1u << 20; // Of each buffer.

} // namespace

std::shared_ptr<const HttpPeer> make_peer(const OtlpHttpOptions& options, Diagnostics& log) {
    const bool is_tls = options.url.scheme == UrlScheme::https;
    const auto host = options.url.host_header();
    auto peer = std::make_shared<HttpPeer>();
    peer->host = options.url.host;
    peer->port = options.url.port;
    peer->host_header = host;
    peer->target = options.url.target;
    peer->response_bytes_max = options.response_bytes_max;
    peer->write_bytes_max = options.piece_bytes;
    peer->headers = {
        {"User-Agent", "weft/" WEFT_VERSION " OTel-OTLP-Exporter-Cpp/" WEFT_VERSION},
        {"Content-Type",
         options.encoding == OtlpEncoding::json ? "application/json" : "application/x-protobuf"}};
    if (is_tls) {
        peer->tls = std::make_shared<TlsClient>(options.tls, options.url.text_for_messages(), log);
    }
    peer->proxy = options.proxy;
    if (options.proxy && !is_tls) {
        peer->target.insert(0, "http://" + host);
        if (!options.proxy->authorization.empty()) {
            peer->headers.push_back({"Proxy-Authorization", options.proxy->authorization});
        }
    }
    // The connection sets fields in order and ignores case, so a User-Agent of the user's replaces
    // ours.
    peer->headers.insert(peer->headers.end(), options.headers.begin(), options.headers.end());
    return peer;
}

void Lane::trim() noexcept {
    preferred.trim(idle_bytes_max);
    fallback.trim(idle_bytes_max);
    if (json.capacity() > idle_bytes_max) { json = std::string(); }
}

std::string_view body_of(const Batch& batch, OtlpEncoding encoding, Lane& lane) {
    if (encoding == OtlpEncoding::protobuf) { return batch.body; }
    lane.json.clear();
    if (!append_otlp_json(lane.json, batch.signal, batch.body)) { return {}; }
    return lane.json;
}

Encoded encode(Compressor& compressor, std::string_view body) noexcept {
    const auto compressed = compressor.compress(body);
    if (!compressed || compressed->size() >= body.size()) { return {body, Compression::none}; }
    return {*compressed, compressor.compression()};
}

} // namespace weft::detail
