#include "decompress.hpp"

#include <weft/exporters/compression.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>

namespace weft {
namespace {

using testing::decode_body;

// Text that compresses, of any length.
std::string sample(std::size_t size, unsigned seed) {
    std::mt19937 random(seed);
    std::string text;
    while (text.size() < size) {
        text += "http.request.method=GET;id=" + std::to_string(random() % 1000) + ";";
    }
    text.resize(size);
    return text;
}

std::string_view encoding(Compression compression) {
    return compression == Compression::none ? "" : name(compression);
}

TEST(Compressor, GivesBackTheSameBytesAtEveryLevel) {
    const std::string body = sample(20'000, 1);
    for (const auto compression : {Compression::gzip, Compression::zstd}) {
        for (int level = -7; level <= 19; ++level) {
            if (!is_valid_level(compression, level)) { continue; }
            Compressor compressor(compression, level);
            const auto compressed = compressor.compress(body);
            ASSERT_TRUE(compressed);
            EXPECT_EQ(decode_body(name(compression), *compressed), body)
                << name(compression) << " level " << level;
        }
    }
}

TEST(Compressor, MakesABatchSmaller) {
    const std::string body = sample(100'000, 1);
    for (const auto compression : {Compression::gzip, Compression::zstd}) {
        Compressor compressor(compression, default_level(compression));
        EXPECT_LT(compressor.compress(body)->size(), body.size() / 3) << name(compression);
    }
}

TEST(Compressor, IsReusedForBodiesOfAnySizeAndOrder) {
    for (const auto compression : {Compression::none, Compression::gzip, Compression::zstd}) {
        Compressor compressor(compression, default_level(compression));
        for (const std::size_t size : {1000u, 0u, 1u, 500'000u, 2u, 65'536u, 10u}) {
            const std::string body = sample(size, static_cast<unsigned>(size));
            const auto compressed = compressor.compress(body);
            ASSERT_TRUE(compressed);
            EXPECT_EQ(decode_body(encoding(compression), *compressed), body)
                << name(compression) << ' ' << size;
        }
    }
}

TEST(Compressor, SurvivesBytesThatDoNotCompress) {
    std::mt19937 random(2);
    std::string body(100'000, '\0');
    for (auto& c : body) { c = static_cast<char>(random()); }
    for (const auto compression : {Compression::gzip, Compression::zstd}) {
        Compressor compressor(compression, default_level(compression));
        EXPECT_EQ(decode_body(name(compression), *compressor.compress(body)), body);
    }
}

// All pieces, as a sink asks for them.
std::string compress_in_pieces(Compressor& compressor, std::string_view body, std::size_t piece) {
    compressor.begin(body);
    for (std::size_t i = 0; i <= body.size() / piece + 1; ++i) {
        const auto compressed = compressor.compress_more(piece);
        EXPECT_TRUE(compressed);
        if (!compressed) { break; }
        if (*compressed) { return std::string(**compressed); }
    }
    ADD_FAILURE() << "more pieces than there are";
    return {};
}

TEST(Compressor, GivesBackTheSameBytesWhenItTakesThemInPieces) {
    for (const auto compression : {Compression::none, Compression::gzip, Compression::zstd}) {
        Compressor compressor(compression, default_level(compression));
        for (const std::size_t size : {1000u, 0u, 1u, 500'000u, 2u, 65'536u, 10u}) {
            const std::string body = sample(size, static_cast<unsigned>(size));
            for (const std::size_t piece :
                 {std::size_t{16'384}, std::size_t{1000}, size + 1, size}) {
                const auto compressed =
                    compress_in_pieces(compressor, body, std::max<std::size_t>(piece, 1));
                EXPECT_EQ(decode_body(encoding(compression), compressed), body)
                    << name(compression) << ' ' << size << " by " << piece;
            }
            EXPECT_EQ(decode_body(encoding(compression), *compressor.compress(body)), body)
                << "and at one go after that";
        }
    }
}

TEST(Compressor, GivesBackTheSameBytesInPiecesAtEveryLevel) {
    const std::string body = sample(40'000, 1);
    for (const auto compression : {Compression::gzip, Compression::zstd}) {
        for (int level = -7; level <= 19; ++level) {
            if (!is_valid_level(compression, level)) { continue; }
            Compressor compressor(compression, level);
            const auto compressed = compress_in_pieces(compressor, body, 4096);
            EXPECT_EQ(decode_body(name(compression), compressed), body)
                << name(compression) << " level " << level;
        }
    }
}

TEST(Compressor, InPiecesSurvivesBytesThatDoNotCompress) {
    std::mt19937 random(2);
    std::string body(100'000, '\0');
    for (auto& c : body) { c = static_cast<char>(random()); }
    for (const auto compression : {Compression::gzip, Compression::zstd}) {
        Compressor compressor(compression, default_level(compression));
        EXPECT_EQ(decode_body(name(compression), compress_in_pieces(compressor, body, 1000)), body);
    }
}

TEST(Compressor, BeginsAnotherBodyAfterOneThatWasLeftHalfDone) {
    const std::string left = sample(50'000, 6);
    const std::string body = sample(50'000, 7);
    for (const auto compression : {Compression::gzip, Compression::zstd}) {
        Compressor compressor(compression, default_level(compression));
        compressor.begin(left);
        ASSERT_FALSE(*compressor.compress_more(1000));
        ASSERT_FALSE(*compressor.compress_more(1000));
        EXPECT_EQ(decode_body(name(compression), compress_in_pieces(compressor, body, 7000)), body);
        compressor.begin(left);
        ASSERT_FALSE(*compressor.compress_more(1000));
        EXPECT_EQ(decode_body(name(compression), *compressor.compress(body)), body);
    }
}

TEST(Compressor, CopiesNothingWithNone) {
    const std::string body = "as it is";
    Compressor compressor(Compression::none, 0);
    EXPECT_EQ(compressor.compress(body)->data(), body.data());
}

TEST(Compressor, WorksAfterATrim) {
    const std::string body = sample(50'000, 3);
    Compressor compressor(Compression::gzip, 1);
    ASSERT_TRUE(compressor.compress(body));

    compressor.trim(1000);

    EXPECT_EQ(decode_body("gzip", *compressor.compress(body)), body);
}

TEST(Compressor, WorksAfterAMove) {
    const std::string body = sample(50'000, 4);
    Compressor first(Compression::zstd, 1);
    ASSERT_TRUE(first.compress(body));

    Compressor second(std::move(first));

    EXPECT_EQ(decode_body("zstd", *second.compress(body)), body);
}

TEST(Compressor, UsesTheDefaultLevelInPlaceOfAnInvalidOne) {
    const std::string body = sample(50'000, 5);
    Compressor valid(Compression::gzip, default_level(Compression::gzip));
    Compressor invalid(Compression::gzip, 99);
    EXPECT_EQ(*valid.compress(body), *invalid.compress(body));
}

TEST(Compression, HasLevelsInBounds) {
    EXPECT_TRUE(is_valid_level(Compression::gzip, 0));
    EXPECT_TRUE(is_valid_level(Compression::gzip, 12));
    EXPECT_FALSE(is_valid_level(Compression::gzip, -1));
    EXPECT_FALSE(is_valid_level(Compression::gzip, 13));
    EXPECT_TRUE(is_valid_level(Compression::zstd, -7));
    EXPECT_FALSE(is_valid_level(Compression::zstd, -8));
    EXPECT_FALSE(is_valid_level(Compression::zstd, 20));
}

TEST(Compression, IsReadInAnyCase) {
    EXPECT_EQ(parse_compression("GZip"), Compression::gzip);
    EXPECT_EQ(parse_compression("zstd"), Compression::zstd);
    EXPECT_EQ(parse_compression("NONE"), Compression::none);
    for (const char* bad : {"", "gz", "gzip ", "deflate", "zstdd"}) {
        EXPECT_EQ(parse_compression(bad), std::nullopt);
    }
}

} // namespace
} // namespace weft
