#pragma once
#include "prometheus_parser.hpp"
#include "prometheus_points.hpp"

#include <weft/exporters/prometheus_text.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace weft::testing {

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// A writer whose expositions are all read back by the strict parser.
class PrometheusTextTest : public ::testing::Test {
protected:
    PrometheusText& text(
        PrometheusProtocol protocol = text_protocol,
        const PrometheusTextOptions& options = bare_options(), std::string_view resource = {}) {
        text_.emplace(protocol, options, resource, log);
        text_->start();
        return *text_;
    }

    std::string finish() {
        std::string exposition(text_->finish());
        EXPECT_NO_THROW(
            ExpositionParser::parse(exposition, is_open_metrics(text_->protocol().format)))
            << exposition;
        return exposition;
    }

    static DiagnosticsOptions options_of(std::vector<std::string>& messages) {
        DiagnosticsOptions options;
        options.handler = [&messages](const Diagnostic& diagnostic) {
            messages.emplace_back(diagnostic.message);
        };
        return options;
    }

    std::vector<std::string> messages;
    Diagnostics log{options_of(messages)};
    std::optional<PrometheusText> text_;
};

} // namespace weft::testing
