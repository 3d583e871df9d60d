#include "sink_fixture.hpp"
#include "tls_client.hpp"
#include "tls_server.hpp"

#include <weft/exporters/otlp_http.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace weft::testing {
namespace {

namespace ssl = asio::ssl;
using ::testing::HasSubstr;

class TlsSinkTest : public SinkTest {
protected:
    TlsSinkTest()
        : ca("Test CA"),
          good(CertificateOptions{
              .common_name = "localhost", .issuer = &ca, .names = "DNS:localhost,IP:127.0.0.1"}) {}

    OtlpHttpOptions options_for(const TlsServer& to, const std::string& host = "localhost") const {
        auto given = SinkTest::options_for(to.port());
        given.url.scheme = UrlScheme::https;
        given.url.host = host;
        given.tls.ca_file = ca.certificate_file();
        return given;
    }

    // What becomes of a batch that is tried once.
    SendOutcome send_once(OtlpHttpOptions given) {
        given.retry.max_elapsed = 0ms;
        use(std::move(given));
        return send();
    }

    // The reason why a server with this certificate is refused by a client that trusts `ca`.
    std::string refusal_of(const Certificate& certificate) {
        TlsServer to(io.get_executor(), certificate);
        const auto outcome = send_once(options_for(to));
        EXPECT_EQ(outcome.reason, DropReason::retry_exhausted);
        EXPECT_TRUE(to.bodies().empty());
        return outcome.detail;
    }

    Certificate ca;
    Certificate good;
};

TEST_F(TlsSinkTest, DeliversBatchesOverOneConnection) {
    TlsServer to(io.get_executor(), good);
    use(options_for(to));
    const auto batch = make_batch(10, 3'000'000);

    for (int i = 0; i < 3; ++i) { EXPECT_EQ(send(batch).exported, 10u); }

    ASSERT_EQ(to.handshakes().size(), 1u);
    EXPECT_EQ(to.handshakes()[0].server_name, "localhost");
    EXPECT_EQ(to.handshakes()[0].protocol, "http/1.1");
    EXPECT_EQ(to.handshakes()[0].version, "TLSv1.3");
    ASSERT_EQ(to.bodies().size(), 3u);
    for (const auto& body : to.bodies()) { EXPECT_TRUE(body == batch->body); }
}

TEST_F(TlsSinkTest, SpeaksTls12) {
    TlsServer to(io.get_executor(), good, [](ssl::context& context) {
        SSL_CTX_set_max_proto_version(context.native_handle(), TLS1_2_VERSION);
    });
    use(options_for(to));
    EXPECT_EQ(send().exported, 10u);
    EXPECT_EQ(to.handshakes().at(0).version, "TLSv1.2");
}

// RFC 6066, "Server Name Indication": an address is no name.
TEST_F(TlsSinkTest, VerifiesAnAddressAndTellsNoName) {
    TlsServer to(io.get_executor(), good);
    use(options_for(to, "127.0.0.1"));
    EXPECT_EQ(send().exported, 10u);
    EXPECT_EQ(to.handshakes().at(0).server_name, "");
}

TEST_F(TlsSinkTest, RefusesAnAddressThatTheCertificateDoesNotHold) {
    const Certificate other(
        CertificateOptions{.issuer = &ca, .names = "DNS:localhost,IP:127.0.0.2,IP:::1"});
    TlsServer to(io.get_executor(), other);
    EXPECT_EQ(
        send_once(options_for(to, "127.0.0.1")).detail,
        "the server's certificate is refused: it is for localhost, 127.0.0.2, ::1, not for "
        "127.0.0.1");
}

TEST_F(TlsSinkTest, RefusesAnExpiredCertificateAndSaysSinceWhen) {
    const Certificate expired(CertificateOptions{
        .issuer = &ca, .names = "DNS:localhost", .valid_from_s = -7200, .valid_until_s = -3600});
    EXPECT_EQ(
        refusal_of(expired),
        "the server's certificate is refused: it expired on " + expired.expiry());
}

TEST_F(TlsSinkTest, RefusesACertificateOfTheFuture) {
    const Certificate early(CertificateOptions{
        .issuer = &ca, .names = "DNS:localhost", .valid_from_s = 3600, .valid_until_s = 7200});
    EXPECT_THAT(refusal_of(early), HasSubstr("it is valid only from "));
}

TEST_F(TlsSinkTest, RefusesACertificateForAnotherHostAndSaysForWhich) {
    const Certificate other(CertificateOptions{.issuer = &ca, .names = "DNS:a.test,DNS:*.b.test"});
    EXPECT_EQ(
        refusal_of(other),
        "the server's certificate is refused: it is for a.test, *.b.test, not for localhost");
}

TEST_F(TlsSinkTest, RefusesASelfSignedCertificateUnlessItIsTheTrustedOne) {
    const Certificate own(CertificateOptions{.common_name = "localhost", .names = "DNS:localhost"});
    EXPECT_THAT(refusal_of(own), HasSubstr("it is self-signed and not among the trusted ones"));

    TlsServer to(io.get_executor(), own);
    auto given = options_for(to);
    given.tls.ca_file = own.certificate_file();
    use(given);
    EXPECT_EQ(send().exported, 10u);
}

TEST_F(TlsSinkTest, RefusesACertificateOfAnUnknownCaAndNamesIt) {
    const Certificate other_ca("Other CA");
    const Certificate other(CertificateOptions{.issuer = &other_ca, .names = "DNS:localhost"});
    EXPECT_EQ(
        refusal_of(other),
        "the server's certificate is refused: it was issued by an unknown CA, CN=Other "
        "CA,O=Example; to trust that CA, set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of its "
        "certificate");
}

TEST_F(TlsSinkTest, TrustsTheSystemsCasUnlessToldOtherwise) {
    TlsServer to(io.get_executor(), good);
    auto given = options_for(to);
    given.tls.ca_file.clear();
    EXPECT_THAT(send_once(given).detail, HasSubstr("issued by an unknown CA, CN=Test CA"));
}

TEST_F(TlsSinkTest, ShowsItsCertificateToAServerThatAsks) {
    const Certificate client(CertificateOptions{.common_name = "shop", .issuer = &ca});
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        TlsServer to(io.get_executor(), good, [&](ssl::context& context) {
            TlsServer::asking_for(ca)(context);
            SSL_CTX_set_max_proto_version(context.native_handle(), version);
        });
        auto given = options_for(to);
        given.tls.certificate_file = client.certificate_file();
        given.tls.key_file = client.key_file();
        use(given);
        EXPECT_EQ(send().exported, 10u);
        EXPECT_EQ(to.handshakes().at(0).subject, "shop");
    }
}

TEST_F(TlsSinkTest, SaysThatTheServerAsksForACertificate) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        TlsServer to(io.get_executor(), good, [&](ssl::context& context) {
            TlsServer::asking_for(ca)(context);
            SSL_CTX_set_max_proto_version(context.native_handle(), version);
        });
        const auto outcome = send_once(options_for(to));
        EXPECT_EQ(outcome.exported, 0u);
        EXPECT_THAT(outcome.detail, HasSubstr("asks for a client certificate"));
        EXPECT_THAT(outcome.detail, HasSubstr("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"));
    }
}

TEST_F(TlsSinkTest, SaysThatTheServerRefusesItsCertificate) {
    const Certificate other_ca("Other CA");
    const Certificate client(CertificateOptions{.common_name = "shop", .issuer = &other_ca});
    TlsServer to(io.get_executor(), good, TlsServer::asking_for(ca));
    auto given = options_for(to);
    given.tls.certificate_file = client.certificate_file();
    given.tls.key_file = client.key_file();
    EXPECT_THAT(send_once(given).detail, HasSubstr("the server refuses our client certificate"));
}

TEST_F(TlsSinkTest, RefusesAServerOfTls11) {
    TlsServer to(io.get_executor(), good, [](ssl::context& context) {
        SSL_CTX_set_cipher_list(context.native_handle(), "ALL:@SECLEVEL=0");
        SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_VERSION);
        SSL_CTX_set_max_proto_version(context.native_handle(), TLS1_1_VERSION);
    });
    EXPECT_THAT(
        send_once(options_for(to)).detail, HasSubstr("the server speaks no TLS 1.2 or newer"));
}

TEST_F(TlsSinkTest, SaysThatNoTlsIsSpokenThere) {
    auto given = options();
    given.url.scheme = UrlScheme::https;
    for (const std::string garbage : {"HTTP/1.1 400 Bad Request\r\n\r\n", "220 mail ready\r\n"}) {
        server.script({Reply{
            .read = Reply::Read::nothing, .bytes = garbage, .after = Reply::After::silence}});
        EXPECT_THAT(send_once(given).detail, HasSubstr("no TLS is spoken there")) << garbage;
    }
}

TEST_F(TlsSinkTest, SaysThatTheServerHungUpInTheHandshake) {
    auto given = options();
    given.url.scheme = UrlScheme::https;
    for (auto reply : {close_unread(), reset_unread()}) {
        server.script({reply});
        EXPECT_THAT(send_once(given).detail, HasSubstr("hung up in the TLS handshake"));
    }
}

TEST_F(TlsSinkTest, EndsAHandshakeThatTheServerNeverAnswersAtTheTimeout) {
    auto given = options();
    given.url.scheme = UrlScheme::https;
    given.timeout = 50ms;
    server.script({never_read()});
    const auto outcome = send_once(given);
    EXPECT_EQ(outcome.reason, DropReason::retry_exhausted);
    EXPECT_EQ(outcome.detail, "timed out in the TLS handshake");
}

// An answer that ends with the connection may have been cut off by anybody, unless TLS itself says that it is over.
TEST_F(TlsSinkTest, TakesNoAnswerThatIsCutOffWithoutAGoodbye) {
    TlsServer to(io.get_executor(), good);
    constexpr bool then_close = true;
    to.answer_with("HTTP/1.1 200 OK\r\n\r\n", then_close);
    const auto outcome = send_once(options_for(to));
    EXPECT_EQ(outcome.exported, 0u);
    EXPECT_EQ(outcome.detail, "connection closed before a whole response");
}

TEST_F(TlsSinkTest, RetriesUntilTheCertificateIsMended) {
    const auto missing = ca.certificate_file() + ".late";
    TlsServer to(io.get_executor(), good);
    auto given = options_for(to);
    given.tls.ca_file = missing;
    use(given);
    EXPECT_TRUE(reported("error: "));
    EXPECT_TRUE(reported("tls.ca_file is " + missing + ": No such file"));
    std::optional<SendOutcome> outcome;

    run(io, [&]() -> asio::awaitable<void> {
        asio::co_spawn(io, sink->send(make_batch()), [&](std::exception_ptr, SendOutcome got) {
            outcome = std::move(got);
        });
        EXPECT_TRUE(co_await eventually([&] { return reported("trying again"); }));
        std::filesystem::copy_file(ca.certificate_file(), missing);
        EXPECT_TRUE(co_await eventually([&] { return outcome.has_value(); }));
    });

    EXPECT_EQ(outcome->exported, 10u);
    std::filesystem::remove(missing);
}

TEST_F(TlsSinkTest, ShowsARotatedCertificateOnANewConnection) {
    const Certificate first(CertificateOptions{.common_name = "first", .issuer = &ca});
    const Certificate second(CertificateOptions{.common_name = "second", .issuer = &ca});
    TlsServer to(io.get_executor(), good, TlsServer::asking_for(ca));
    auto given = options_for(to);
    given.tls.certificate_file = first.certificate_file();
    given.tls.key_file = first.key_file();
    use(given);
    EXPECT_EQ(send().exported, 10u);
    constexpr auto overwrite = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(second.certificate_file(), first.certificate_file(), overwrite);
    std::filesystem::copy_file(second.key_file(), first.key_file(), overwrite);

    // Files are looked at once a second: until then the connection stays.
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (to.handshakes().size() < 2 && std::chrono::steady_clock::now() < deadline) {
        EXPECT_EQ(send().exported, 10u);
    }

    ASSERT_EQ(to.handshakes().size(), 2u);
    EXPECT_EQ(to.handshakes()[0].subject, "first");
    EXPECT_EQ(to.handshakes()[1].subject, "second");
}

TEST_F(TlsSinkTest, RefusesACertificateWithoutItsKey) {
    auto given = options();
    given.tls.certificate_file = good.certificate_file();
    const auto made = OtlpHttpSink::create(io.get_executor(), given, log);
    ASSERT_FALSE(made);
    EXPECT_TRUE(reported("error: OTLP exporter: tls.certificate_file is set and tls.key_file is "
                         "not: allowed is both "
                         "or neither"));
}

// Time is a parameter.
class TlsClientTest : public TlsSinkTest {
protected:
    using TimePoint = detail::TlsClient::TimePoint;

    TlsClientTest() : path(ca.certificate_file() + ".copy") { put(ca.certificate_file()); }
    ~TlsClientTest() override { std::filesystem::remove(path); }

    // Replaced as rotating programs do it.
    void put(const std::string& content_of) const {
        std::filesystem::copy_file(
            content_of, path + ".new", std::filesystem::copy_options::overwrite_existing);
        std::filesystem::rename(path + ".new", path);
    }
    void put_text(const std::string& text) const {
        std::ofstream(path + ".new") << text;
        std::filesystem::rename(path + ".new", path);
    }

    const std::string path;
    TimePoint start = std::chrono::steady_clock::now();
};

TEST_F(TlsClientTest, LooksAtItsFilesOnceASecond) {
    const Certificate other("Other CA");
    detail::TlsClient client({.ca_file = path}, "https://c", log);
    const auto first = client.context(start);
    ASSERT_NE(first, nullptr);
    put(other.certificate_file());

    EXPECT_EQ(client.context(start + 900ms), first);
    const auto second = client.context(start + 2s);
    EXPECT_NE(second, first);
    EXPECT_NE(second, nullptr);
    EXPECT_EQ(client.context(start + 60s), second) << "unchanged files are not read again";
}

TEST_F(TlsClientTest, KeepsWhatItHasWhenANewFileIsBadAndReportsIt) {
    detail::TlsClient client({.ca_file = path}, "https://c", log);
    const auto first = client.context(start);
    for (const std::string bad : {"", "rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n"}) {
        messages.clear();
        put_text(bad);
        start += 2s;
        EXPECT_EQ(client.context(start), first) << bad;
        EXPECT_FALSE(client.problem().empty());
        EXPECT_TRUE(reported("error: export to https://c: tls.ca_file is " + path)) << bad;
        EXPECT_TRUE(reported("the certificates read before stay in use"));
    }
    std::filesystem::remove(path);
    EXPECT_EQ(client.context(start + 2s), first);
    put(ca.certificate_file());
    EXPECT_NE(client.context(start + 4s), first);
    EXPECT_EQ(client.problem(), "");
}

TEST_F(TlsClientTest, WaitsForAKeyThatIsTheCertificates) {
    const Certificate first(CertificateOptions{.common_name = "first", .issuer = &ca});
    const Certificate second(CertificateOptions{.common_name = "second", .issuer = &ca});
    put(first.certificate_file());
    detail::TlsClient client(
        {.certificate_file = path, .key_file = second.key_file()}, "https://c", log);
    EXPECT_EQ(client.context(start), nullptr);
    EXPECT_THAT(client.problem(), HasSubstr("tls.key_file is " + second.key_file() + ": "));
    EXPECT_TRUE(reported("nothing can be sent until that is mended"));

    put(second.certificate_file());

    EXPECT_NE(client.context(start + 2s), nullptr);
    EXPECT_EQ(client.problem(), "");
}

TEST_F(TlsClientTest, AsksNobodyForThePasswordOfAKey) {
    const Certificate client_certificate(CertificateOptions{.common_name = "c", .issuer = &ca});
    client_certificate.encrypt_key();
    detail::TlsClient client(
        {.certificate_file = client_certificate.certificate_file(),
         .key_file = client_certificate.key_file()},
        "https://c", log);
    EXPECT_EQ(client.context(start), nullptr);
    EXPECT_THAT(client.problem(), HasSubstr("tls.key_file is "));
}

} // namespace
} // namespace weft::testing
