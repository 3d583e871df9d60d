#pragma once
// JSON that a test reads with a parser that we did not write.

#include <gtest/gtest.h>
#include <simdjson.h>

#include <memory>
#include <string>

namespace weft::testing {

/// One document. Not the Struct of Protobuf: its maps fail under TSan, whose hash seed the library does not share.
class Json {
public:
    explicit Json(const std::string& text) {
        EXPECT_EQ(parser_->parse(text).get(root_), simdjson::SUCCESS) << text;
    }
    /// Throws simdjson_error, which fails the test, where there is no such member.
    [[nodiscard]] simdjson::simdjson_result<simdjson::dom::element> operator[](
        std::string_view name) const {
        return root_[name];
    }
    [[nodiscard]] simdjson::dom::object object() const { return root_.get_object(); }

private:
    std::unique_ptr<simdjson::dom::parser> parser_ = std::make_unique<simdjson::dom::parser>();
    simdjson::dom::element root_;
};

} // namespace weft::testing
