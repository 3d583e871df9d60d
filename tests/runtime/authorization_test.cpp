#include <weft/runtime/authorization.hpp>
#include <weft/runtime/ids.hpp>
#include <weft/runtime/siphash.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace weft;
using detail::SipDigest;
using detail::SipKey;

SipKey counting_key() {
    SipKey key;
    for (std::size_t i = 0; i < key.bytes.size(); ++i) {
        key.bytes[i] = static_cast<std::uint8_t>(i);
    }
    return key;
}

std::string counting_text(int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) { text += static_cast<char>(i); }
    return text;
}

std::string hex(const SipDigest& digest) {
    std::string text(32, '0');
    detail::write_hex(digest.data(), digest.size(), text.data());
    return text;
}

// What `openssl mac -macopt hexkey:000102...0f SIPHASH` prints for the bytes 0, 1, 2, ...
struct Vector {
    int bytes;
    std::uint64_t hash;
    std::string_view digest;
};
const Vector vectors[] = {
    {0, 0x726fdb47dd0e0e31, "a3817f04ba25a8e66df67214c7550293"},
    {1, 0x74f839c593dc67fd, "da87c1d86b99af44347659119b22fc45"},
    {8, 0x93f5f5799a932462, "3b62a9ba6258f5610f83e264f31497b4"},
    {15, 0xa129ca6149be45e5, "5493e99933b0a8117e08ec0f97cfc3d9"},
    {33, 0xa7f32346f95978e3, "77c6077146f01c32b6b69d5f4ea9ffcf"},
};

TEST(SipHash, AgreesWithOpenSsl) {
    for (const auto& vector : vectors) {
        SCOPED_TRACE(vector.bytes);
        EXPECT_EQ(detail::siphash(counting_key(), counting_text(vector.bytes)), vector.hash);
        EXPECT_EQ(
            hex(detail::siphash_digest(counting_key(), counting_text(vector.bytes))),
            vector.digest);
    }
}

TEST(SipHash, DependsOnEveryByteOfTheKey) {
    const auto plain = detail::siphash(counting_key(), "text");
    for (std::size_t i = 0; i < 16; ++i) {
        auto key = counting_key();
        key.bytes[i] ^= 0x80;
        EXPECT_NE(detail::siphash(key, "text"), plain) << i;
    }
}

TEST(SipHash, ComparesEveryByteOfADigest) {
    const auto digest = detail::siphash_digest(counting_key(), "text");
    EXPECT_TRUE(detail::equal_in_constant_time(digest, digest));
    for (std::size_t i = 0; i < digest.size(); ++i) {
        auto other = digest;
        other[i] ^= 1;
        EXPECT_FALSE(detail::equal_in_constant_time(digest, other)) << i;
    }
}

TEST(SipHash, MakesKeysThatDiffer) {
    const auto one = SipKey::random();
    const auto other = SipKey::random();
    ASSERT_TRUE(one && other);
    EXPECT_NE(one->bytes, other->bytes);
}

// user:password in base64.
constexpr std::string_view ann_secret = "YW5uOnNlY3JldA=="; // ann:secret
constexpr std::string_view ann_other = "YW5uOm90aGVy";      // ann:other
constexpr std::string_view bob_secret = "Ym9iOnNlY3JldA=="; // bob:secret

AuthorizationOptions basic() { return {.user = "ann", .password = "secret"}; }
AuthorizationOptions bearer() { return {.bearer_tokens = {"token-1", "token-2"}}; }
AuthorizationOptions both() {
    auto options = basic();
    options.bearer_tokens = {"token-1"};
    return options;
}

bool allows(const AuthorizationOptions& options, const std::string& header) {
    return Authorization(options).allows(header);
}

TEST(Authorization, LetsEverybodyInIfNothingIsSet) {
    EXPECT_TRUE(allows({}, ""));
    EXPECT_TRUE(allows({}, "Bearer whatever"));
    EXPECT_EQ(Authorization(AuthorizationOptions()).challenge("x"), "");
}

TEST(Authorization, KnowsUserAndPasswordTogether) {
    EXPECT_TRUE(allows(basic(), "Basic " + std::string(ann_secret)));
    EXPECT_TRUE(allows(basic(), "bASIC   " + std::string(ann_secret) + " "));
    EXPECT_TRUE(allows(basic(), "Basic YW5uOnNlY3JldA")); // Without padding.
    EXPECT_FALSE(allows(basic(), "Basic " + std::string(ann_other)));
    EXPECT_FALSE(allows(basic(), "Basic " + std::string(bob_secret)));
    EXPECT_FALSE(allows(basic(), "Bearer secret"));
    EXPECT_FALSE(allows(basic(), "Bearer ann:secret"));
}

TEST(Authorization, KnowsAnyOfItsTokens) {
    EXPECT_TRUE(allows(bearer(), "Bearer token-1"));
    EXPECT_TRUE(allows(bearer(), "bearer  token-2\t"));
    for (const auto* const header :
         {"", "Bearer", "Bearer ", "Bearer token-3", "Bearer token-", "Bearer token-11",
          "Bearer TOKEN-1", "token-1", "Token token-1", "Bearertoken-1",
          "Bearer token-1 token-2"}) {
        EXPECT_FALSE(allows(bearer(), header)) << header;
    }
}

TEST(Authorization, TakesEitherKindIfBothAreSet) {
    EXPECT_TRUE(allows(both(), "Bearer token-1"));
    EXPECT_TRUE(allows(both(), "Basic " + std::string(ann_secret)));
    EXPECT_FALSE(allows(both(), "Bearer secret"));
    EXPECT_FALSE(allows(both(), "Basic token-1"));
}

TEST(Authorization, RefusesWhatIsNoBase64) {
    for (const auto* const header :
         {"Basic", "Basic ", "Basic YW5uOnNlY3JldA===", "Basic YW5uOnNlY3JldA=x", "Basic A",
          "Basic ann:secret", "Basic YW5u OnNlY3JldA=="}) {
        EXPECT_FALSE(allows(basic(), header)) << header;
    }
}

TEST(Authorization, DoesNotLookAtAHeaderWithoutAnEnd) {
    const std::string long_token(16 * 1024, 'x');
    EXPECT_FALSE(allows(bearer(), "Bearer " + long_token));
    EXPECT_FALSE(allows(basic(), "Basic " + long_token));
}

TEST(Authorization, SaysWhichSchemeItWantsAndNoMore) {
    EXPECT_EQ(
        Authorization(basic()).challenge("metrics"), "Basic realm=\"metrics\", charset=\"UTF-8\"");
    EXPECT_EQ(Authorization(bearer()).challenge("metrics"), "Bearer realm=\"metrics\"");
}

class PasswordFile {
public:
    explicit PasswordFile(std::string_view text) { std::ofstream(path, std::ios::binary) << text; }
    ~PasswordFile() { std::remove(path.c_str()); }
    const std::string path = ::testing::TempDir() + "weft_password_" + std::to_string(random_u64());
};

TEST(Authorization, ReadsAPasswordFileWithoutItsNewline) {
    for (const auto* const text : {"secret", "secret\n", "secret\r\n"}) {
        const PasswordFile file(text);
        EXPECT_TRUE(allows(
            {.user = "ann", .password_file = file.path}, "Basic " + std::string(ann_secret)));
    }
}

std::string construction_error(const AuthorizationOptions& options) {
    try {
        const Authorization authorization(options);
        return {};
    } catch (const std::invalid_argument& error) { return error.what(); }
}

TEST(Authorization, NamesAPasswordFileThatIsOfNoUse) {
    const PasswordFile empty("\n");
    const PasswordFile large(std::string(5000, 'x'));
    for (const auto& path : {empty.path, large.path, std::string("no such file")}) {
        const auto error = construction_error({.user = "ann", .password_file = path});
        EXPECT_TRUE(error.starts_with("authorization.password_file " + path)) << error;
    }
}

TEST(Authorization, NamesTheFieldThatIsWrongAndNoSecret) {
    struct Case {
        AuthorizationOptions options;
        std::string_view field;
    };
    const Case cases[] = {
        {{.user = "ann"}, "user"},
        {{.password = "hush"}, "password"},
        {{.user = "ann", .password = "hush", .password_file = "file"}, "password_file"},
        {{.user = "a:b", .password = "hush"}, "user"},
        {{.bearer_tokens = {""}}, "bearer_tokens"},
        {{.bearer_tokens = {"hush hush"}}, "bearer_tokens"},
        {{.bearer_tokens = {"hush\n"}}, "bearer_tokens"},
        {{.bearer_tokens = {std::string(5000, 'x')}}, "bearer_tokens"},
        {{.user = "ann", .password = std::string(5000, 'x')}, "password"},
    };
    for (const auto& each : cases) {
        const auto problem = problem_in(each.options, "auth.");
        EXPECT_NE(problem.find("auth." + std::string(each.field)), std::string::npos) << problem;
        EXPECT_EQ(problem.find("hush"), std::string::npos) << problem;
        EXPECT_NE(construction_error(each.options), "");
    }
    EXPECT_EQ(problem_in(both()), "");
}

} // namespace
