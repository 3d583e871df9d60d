#include <weft/runtime/ids.hpp>
#include <weft/signals/label.hpp>
#include <weft/testing/random.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace weft;

std::string normal(std::string_view target) {
    PathBuffer buffer;
    return std::string(normalize_path(target, buffer));
}

struct PathCase {
    std::string_view target;
    std::string_view expected;
};

constexpr PathCase path_cases[] = {
    // What stays.
    {"", "/"},
    {"/", "/"},
    {"/users", "/users"},
    {"/api/v2/users", "/api/v2/users"},
    {"/users/me/settings", "/users/me/settings"},
    {"/hash/sha256/base64", "/hash/sha256/base64"},
    {"/getUserProfileByName", "/getUserProfileByName"},
    {"/facade/decade", "/facade/decade"},
    {"/.well-known/openid-configuration", "/.well-known/openid-configuration"},
    {"/static/main.css", "/static/main.css"},
    {"/{id}/{uuid}/{more}", "/{id}/{uuid}/{more}"},
    {"/a%20b", "/a%20b"},
    {"/caf%C3%A9", "/caf%C3%A9"},
    {"/a/../b/.", "/a/../b/."},
    // What is left out.
    {"/users?page=2&id=7", "/users"},
    {"/users#top", "/users"},
    {"/users?a#b", "/users"},
    {"?a=b", "/"},
    {"//users///list//", "/users/list"},
    {"/users;v=1/list;x", "/users/list"},
    {"/;jsessionid=1234", "/"},
    {"http://example.com/users/7?x", "/users/{id}"},
    {"https://example.com", "/"},
    {"https://example.com?x=/7", "/"},
    // Numbers.
    {"/users/1017/orders", "/users/{id}/orders"},
    {"/users/1", "/users/{id}"},
    {"/users/00000000000000000000000000000000000000007", "/users/{id}"},
    {"/order-12345", "/order-{id}"},
    {"/order_12345.json", "/order_{id}.json"},
    {"/jquery-3.6.0.min.js", "/jquery-{id}.min.js"},
    {"/1-2", "/{id}"},
    {"/-7", "/-{id}"},
    {"/1,2,3", "/{id}"},
    {"/a.1.b.2", "/a.{id}.b.{id}"},
    {"/{123}", "/{{id}}"},
    // The rest.
    {"/u/550e8400-e29b-41d4-a716-446655440000", "/u/{uuid}"},
    {"/u/550E8400-E29B-41D4-A716-446655440000/x", "/u/{uuid}/x"},
    {"/c/deadbeef1", "/c/{hex}"},
    {"/c/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/c/{hex}"},
    {"/c/abcdefabcdefabcdef", "/c/{hex}"},
    {"/2024-05-01/report", "/{date}/report"},
    {"/2024-05-01T12:30:00Z", "/{date}"},
    {"/2024-05-01T12%3A30", "/{date}"},
    {"/u/ann@example.com", "/u/{email}"},
    {"/u/ann%40example.com", "/u/{email}"},
    {"/@ann", "/{email}"},
    {"/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/{token}"},
    {"/s/a1b2c3d4e5x", "/s/{token}"},
    {"/s/xKjQwErTyUiOp", "/s/{token}"},
    {"/this-is-a-rather-long-title-of-an-article", "/{long}"},
    {"/a.1.b.2.c.3.d.4.e.5", "/{long}"}, // It would grow beyond 32.
    {"/%E6%97%A5%E6%9C%AC", "/{text}"},
    {"/a b", "/{text}"},
    {"/caf\xc3\xa9", "/{text}"},
    {"/\x01", "/{text}"},
    {"/a/b/c/d/e/f/g/h", "/a/b/c/d/e/f/g/h"},
    {"/a/b/c/d/e/f/g/h/i", "/a/b/c/d/e/f/g/h/{more}"},
    {"/a/b/c/d/e/f/g/h/i/j/k", "/a/b/c/d/e/f/g/h/{more}"},
    {"*", "/*"},
};

TEST(NormalizePath, KeepsWordsAndReplacesWhatVaries) {
    for (const auto& each : path_cases) {
        EXPECT_EQ(normal(each.target), each.expected) << each.target;
    }
}

TEST(NormalizePath, LeavesANormalPathAsItIs) {
    for (const auto& each : path_cases) { EXPECT_EQ(normal(each.expected), each.expected); }
}

TEST(NormalizePath, FitsAnyBufferAndSaysThatThereWasMore) {
    const std::string_view target = "/users/1017/orders/list";
    for (std::size_t bytes = 0; bytes < 40; ++bytes) {
        std::vector<char> buffer(bytes + 1, '#');
        const auto path = normalize_path(target, std::span(buffer).first(bytes));
        EXPECT_LE(path.size(), bytes);
        EXPECT_EQ(buffer[bytes], '#');
        EXPECT_EQ(normal(path), path.empty() ? "/" : path);
        if (bytes >= 7 && bytes < 23) { EXPECT_TRUE(path.ends_with("/{more}")) << path; }
    }
    char small[13];
    EXPECT_EQ(normalize_path(target, small), "/users/{more}");
}

// Any bytes, of which many mean something here.
std::string random_target(weft::testing::Random& random) {
    static constexpr std::string_view alphabet =
        "/0123456789abcdefABCDEFxyzXYZ-_.{}@%;?#~:\x01\xff";
    std::string target = "/";
    const auto size = random.below(90);
    for (std::size_t i = 0; i < size; ++i) { target += alphabet[random.below(alphabet.size())]; }
    return target;
}

TEST(NormalizePath, IsIdempotentForWhateverComes) {
    auto random = weft::testing::Random::seeded("NormalizePath.IsIdempotentForWhateverComes");
    for (int i = 0; i < 100'000; ++i) {
        const auto target = random_target(random);
        const auto once = normal(target);
        ASSERT_EQ(normal(once), once) << target;
        ASSERT_LE(once.size(), std::size_t{128});
        ASSERT_TRUE(once.starts_with('/'));
        // Also in a buffer that cuts.
        char small[24];
        const std::string cut(normalize_path(target, small));
        ASSERT_EQ(normalize_path(cut, small), cut) << target;
    }
}

TEST(NormalizePath, MakesFewPathsOfManyIds) {
    auto random = weft::testing::Random::seeded("NormalizePath.MakesFewPathsOfManyIds");
    const auto text = [&](std::string_view alphabet, std::size_t size) {
        std::string id;
        for (std::size_t i = 0; i < size; ++i) { id += alphabet[random.below(alphabet.size())]; }
        return id;
    };
    constexpr std::string_view hex = "0123456789abcdef";
    constexpr std::string_view ulid = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    std::set<std::string> paths;
    for (int i = 0; i < 100'000; ++i) {
        const std::string uuid = text(hex, 8) + "-" + text(hex, 4) + "-" + text(hex, 4) + "-" +
                                 text(hex, 4) + "-" + text(hex, 12);
        for (const auto& id :
             {std::to_string(random.below(1'000'000'000)), uuid, text(hex, 40), text(ulid, 26)}) {
            paths.insert(normal("/users/" + id + "/orders"));
        }
    }
    const std::set<std::string> expected{
        "/users/{id}/orders", "/users/{uuid}/orders", "/users/{hex}/orders",
        "/users/{token}/orders"};
    EXPECT_EQ(paths, expected);
}

TEST(RouteLabel, PrefersTheTemplate) {
    PathBuffer buffer;
    EXPECT_EQ(route_label("/users/{id}", "/users/7", buffer), "/users/{id}");
    EXPECT_EQ(route_label("/files/{path...}", "/files/7/8", buffer), "/files/{path...}");
    EXPECT_EQ(route_label("", "/users/7?x", buffer), "/users/{id}");
    EXPECT_EQ(route_label("/{path...}", "/users/7?x", buffer), "/users/{id}");
}

const LabelKey key_a = *LabelKey::from_hex("000102030405060708090a0b0c0d0e0f");
const LabelKey key_b = *LabelKey::from_hex("100102030405060708090a0b0c0d0e0f");

TEST(HashedLabel, IsSixteenHexDigitsOfTheKeyedHash) {
    EXPECT_EQ(hashed_label("", key_a).view(), "726fdb47dd0e0e31"); // As OpenSSL has it.
    EXPECT_NE(hashed_label("ann", key_a), hashed_label("bob", key_a));
    EXPECT_NE(hashed_label("ann", key_a), hashed_label("ann", key_b));
    EXPECT_EQ(hashed_label("ann"), hashed_label("ann"));
    EXPECT_NE(hashed_label("ann"), hashed_label("bob"));
}

TEST(HashedLabel, TakesAnIntegerAsItsText) {
    EXPECT_EQ(hashed_label(1017), hashed_label("1017"));
    EXPECT_EQ(hashed_label(std::int64_t{-7}), hashed_label("-7"));
    EXPECT_EQ(hashed_label(~std::uint64_t{0}), hashed_label("18446744073709551615"));
}

TEST(HashedLabel, IsAnAttributeValueWhereItIsMade) {
    const auto text = [](std::initializer_list<Attribute> attributes) {
        return std::string(attributes.begin()->value.string());
    };
    EXPECT_EQ(text({{"user", hashed_label("", key_a)}}), "726fdb47dd0e0e31");
    EXPECT_EQ(text({{"bucket", label_bucket("x", 1, key_a)}}), "0");
}

TEST(HashedLabel, UsesTheKeyThatWasSet) {
    const auto before = hashed_label("ann");
    set_label_key(key_b);
    EXPECT_EQ(hashed_label("ann"), hashed_label("ann", key_b));
    EXPECT_NE(hashed_label("ann"), before);
    EXPECT_EQ(label_bucket("ann", 1000), label_bucket("ann", 1000, key_b));
    set_label_key(key_a);
    EXPECT_EQ(hashed_label("ann"), hashed_label("ann", key_a));
}

TEST(LabelBucket, SpreadsEvenlyOverItsBuckets) {
    constexpr int values = 100'000;
    constexpr std::uint32_t n = 16;
    std::vector<int> counts(n);
    for (int i = 0; i < values; ++i) {
        const auto bucket = label_bucket("user-" + std::to_string(i), n, key_a);
        ++counts.at(std::stoul(std::string(bucket.view())));
    }
    for (const int count : counts) { EXPECT_NEAR(count, values / 16, 400); } // Five deviations.
}

TEST(LabelBucket, TakesAnyNumberOfBuckets) {
    EXPECT_EQ(label_bucket("ann", 0).view(), "0");
    EXPECT_EQ(label_bucket("ann", 1).view(), "0");
    EXPECT_EQ(label_bucket(7, 12), label_bucket("7", 12));
    EXPECT_LE(std::stoull(std::string(label_bucket("ann", 0xffffffff).view())), 0xfffffffeu);
}

TEST(LabelKey, IsReadFromHexDigitsOnly) {
    EXPECT_TRUE(LabelKey::from_hex("000102030405060708090A0B0C0D0E0F"));
    for (const auto* const text :
         {"", "00", "000102030405060708090a0b0c0d0e0", "000102030405060708090a0b0c0d0e0f0",
          "000102030405060708090a0b0c0d0e0g"}) {
        EXPECT_FALSE(LabelKey::from_hex(text)) << text;
    }
}

std::string file_error(const std::string& text) {
    const std::string path = ::testing::TempDir() + "weft_key_" + std::to_string(random_u64());
    if (!text.empty()) { std::ofstream(path, std::ios::binary) << text; }
    std::string error;
    try {
        const auto key = LabelKey::from_file(path);
        error = hashed_label("ann", key) == hashed_label("ann", key_a) ? "" : "another key";
    } catch (const std::invalid_argument& wrong) {
        error = wrong.what();
        EXPECT_NE(error.find(path), std::string::npos);
    }
    std::remove(path.c_str());
    return error;
}

TEST(LabelKey, IsReadFromAFileAndNeverShown) {
    const std::string digits = "000102030405060708090a0b0c0d0e0f";
    EXPECT_EQ(file_error(digits), "");
    EXPECT_EQ(file_error(digits + "\r\n"), "");
    for (const auto& text :
         {std::string(), digits + "f", digits.substr(1), digits + "\n" + digits}) {
        const auto error = file_error(text);
        EXPECT_NE(error.find("32 hexadecimal digits"), std::string::npos) << error;
        EXPECT_EQ(error.find("0102030405"), std::string::npos) << error;
    }
}

} // namespace
