#include "tls_server.hpp"

#include <weft/signals/span.hpp>
#include <weft/telemetry/options.hpp>
#include <weft/telemetry/runtime.hpp>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <thread>

// From the variables to a receiver over TLS that wants JSON and our certificate, through a proxy.

namespace weft::testing {
namespace {

TEST(Https, TakesSpansFromTheVariablesToAReceiverThroughAProxy) {
    const Certificate ca("Test CA");
    const Certificate own(CertificateOptions{.issuer = &ca, .names = "DNS:collector.test"});
    const Certificate client(CertificateOptions{.common_name = "shop", .issuer = &ca});
    boost::asio::io_context io;
    TlsServer to(io.get_executor(), own, TlsServer::asking_for(ca));
    TunnelProxy proxy(io.get_executor(), to.port());
    std::jthread serving([&io] { io.run(); });
    const std::map<std::string, std::string> variables{
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.test"},
        {"OTEL_EXPORTER_OTLP_CERTIFICATE", ca.certificate_file()},
        {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", client.certificate_file()},
        {"OTEL_EXPORTER_OTLP_CLIENT_KEY", client.key_file()},
        {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
        {"HTTPS_PROXY", "http://user:password@127.0.0.1:" + std::to_string(proxy.port())},
        {"OTEL_METRICS_EXPORTER", "none"}};
    std::vector<std::string> problems;
    auto options = options_from_env(
        [&](const char* name) {
            const auto found = variables.find(name);
            return found == variables.end() ? nullptr : found->second.c_str();
        },
        problems);
    EXPECT_TRUE(problems.empty());

    {
        Runtime runtime(std::move(options));
        Span("over TLS").end();
        EXPECT_TRUE(runtime.flush_blocking(std::chrono::seconds(20))->complete);
        EXPECT_EQ(runtime.ledger().exported, 1u);
    }
    io.stop();
    serving.join();

    ASSERT_EQ(to.handshakes().size(), 1u);
    EXPECT_EQ(to.handshakes()[0].server_name, "collector.test");
    EXPECT_EQ(to.handshakes()[0].subject, "shop");
    EXPECT_EQ(proxy.asked().at(0).target, "collector.test:443");
    EXPECT_EQ(proxy.asked().at(0).authorization, "Basic dXNlcjpwYXNzd29yZA==");
    ASSERT_EQ(to.bodies().size(), 1u);
    EXPECT_TRUE(to.bodies()[0].starts_with(R"({"resourceSpans":[)")) << to.bodies()[0];
    EXPECT_NE(to.bodies()[0].find(R"("name":"over TLS")"), std::string::npos);
}

} // namespace
} // namespace weft::testing
