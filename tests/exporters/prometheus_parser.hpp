#pragma once
// A strict reader of expositions, written from the grammars: what is not allowed is an error, not a guess.
// Source: Prometheus, "Exposition formats"; OpenMetrics 1.0, "Text format".

#include <weft/runtime/utf8.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::testing {

using ParsedLabels = std::map<std::string, std::string>;

struct ParsedExemplar {
    ParsedLabels labels;
    double value = 0;
    std::optional<double> time;
};

struct ParsedSample {
    std::string name;
    ParsedLabels labels;
    std::string value_text;
    double value = 0;
    std::optional<ParsedExemplar> exemplar;
};

struct ParsedFamily {
    std::string name;
    std::string type;
    std::string unit;
    std::optional<std::string> help;
    std::vector<ParsedSample> samples;
};

class ExpositionParser {
public:
    /// Errors: std::runtime_error, naming the line.
    static std::vector<ParsedFamily> parse(std::string_view text, bool open_metrics) {
        ExpositionParser parser(open_metrics);
        parser.read(text);
        return std::move(parser.families_);
    }

private:
    explicit ExpositionParser(bool open_metrics) : open_metrics_(open_metrics) {}

    void require(bool holds, std::string_view what) const {
        if (!holds) {
            throw std::runtime_error(std::string(what) + " in: " + std::string(whole_line_));
        }
    }

    void read(std::string_view text) {
        for (auto rest = text; !rest.empty();) {
            const auto point = weft::detail::leading_code_point(rest);
            require(point.is_good, "not UTF-8");
            rest.remove_prefix(point.size);
        }
        bool ended = false;
        while (!text.empty()) {
            const auto end = text.find('\n');
            require(end != text.npos, "a last line without its end");
            whole_line_ = line_ = text.substr(0, end);
            text.remove_prefix(end + 1);
            require(!ended, "something behind EOF");
            require(!line_.empty(), "an empty line");
            if (open_metrics_ && line_ == "# EOF") {
                ended = true;
            } else if (line_.front() == '#') {
                read_metadata();
            } else {
                read_sample();
            }
        }
        require(!open_metrics_ || ended, "no EOF");
        for (const auto& family : families_) { check_histogram(family); }
    }

    bool take(std::string_view text) {
        if (!line_.starts_with(text)) { return false; }
        line_.remove_prefix(text.size());
        return true;
    }

    static bool is_name(std::string_view name, bool colon) {
        return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
               std::all_of(name.begin(), name.end(), [colon](char c) {
                   return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '_' || (colon && c == ':');
               });
    }

    std::string quoted() {
        require(take("\""), "no quote");
        std::string out;
        while (true) {
            require(!line_.empty(), "a quote that does not end");
            const char c = line_.front();
            line_.remove_prefix(1);
            if (c == '"') { return out; }
            out.push_back(c == '\\' ? escape(true) : c);
        }
    }

    char escape(bool quote) {
        require(!line_.empty(), "a lone backslash");
        const char c = line_.front();
        line_.remove_prefix(1);
        require(c == '\\' || c == 'n' || (quote && c == '"'), "an unknown escape");
        return c == 'n' ? '\n' : c;
    }

    std::string name(bool colon) {
        if (line_.starts_with('"')) {
            auto text = quoted();
            require(!is_name(text, colon), "quotes around a name that needs none");
            return text;
        }
        const auto end = std::min(line_.find_first_of(" {}=,"), line_.size());
        std::string text(line_.substr(0, end));
        line_.remove_prefix(end);
        require(is_name(text, colon), "a bad name");
        return text;
    }

    void read_metadata() {
        std::string kind;
        for (const auto* known : {"HELP", "TYPE", "UNIT"}) {
            if (take(std::string("# ") + known + " ")) { kind = known; }
        }
        require(!kind.empty() && (open_metrics_ || kind != "UNIT"), "an unknown comment");
        const auto family_name = name(true);
        if (families_.empty() || families_.back().name != family_name) {
            require(names_.insert(family_name).second, "a family in two pieces");
            families_.push_back({family_name, "", "", {}, {}});
        }
        auto& family = families_.back();
        require(family.samples.empty(), "metadata behind samples");
        require(take(" "), "no blank");
        if (kind == "TYPE") {
            require(family.type.empty(), "two TYPEs");
            family.type = line_;
            require(
                family.type == "counter" || family.type == "gauge" || family.type == "histogram" ||
                    (open_metrics_ && family.type == "info"),
                "an unknown type");
        } else if (kind == "UNIT") {
            require(family.unit.empty(), "two UNITs");
            family.unit = line_;
            require(family_name.ends_with("_" + family.unit), "a unit that is no suffix");
        } else {
            require(!family.help.has_value(), "two HELPs");
            std::string help;
            while (!line_.empty()) {
                const char c = line_.front();
                line_.remove_prefix(1);
                require(!open_metrics_ || c != '"', "a bare quote in HELP");
                help.push_back(c == '\\' ? escape(open_metrics_) : c);
            }
            family.help = help;
        }
    }

    std::optional<std::string> labels(ParsedLabels& out, bool name_inside) {
        std::optional<std::string> inside;
        bool first = true;
        while (!take("}")) {
            if (!first) { require(take(","), "no comma"); }
            auto key = name(false);
            if (first && name_inside && !line_.starts_with('=')) {
                inside = key;
            } else {
                require(take("="), "no =");
                require(!key.starts_with("__"), "a reserved label");
                require(out.emplace(std::move(key), quoted()).second, "a label twice");
            }
            first = false;
        }
        return inside;
    }

    double number(std::string& text) {
        const auto end = std::min(line_.find(' '), line_.size());
        text = line_.substr(0, end);
        line_.remove_prefix(end);
        if (text == "NaN") { return std::numeric_limits<double>::quiet_NaN(); }
        if (text == "+Inf") { return std::numeric_limits<double>::infinity(); }
        if (text == "-Inf") { return -std::numeric_limits<double>::infinity(); }
        double value = 0;
        const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        require(error == std::errc() && stop == text.data() + text.size(), "a bad number");
        require(std::isfinite(value), "another spelling of what is not finite");
        return value;
    }

    void read_sample() {
        ParsedSample sample;
        if (take("{")) {
            const auto inside = labels(sample.labels, true);
            require(inside.has_value(), "no name");
            sample.name = *inside;
        } else {
            sample.name = name(true);
            if (take("{")) { static_cast<void>(labels(sample.labels, false)); }
        }
        require(take(" "), "no blank");
        sample.value = number(sample.value_text);
        if (!line_.empty()) {
            require(open_metrics_ && take(" # {"), "something behind the value");
            ParsedExemplar exemplar;
            static_cast<void>(labels(exemplar.labels, false));
            require(take(" "), "no blank");
            std::string text;
            exemplar.value = number(text);
            if (take(" ")) { exemplar.time = number(text); }
            require(line_.empty(), "something behind the exemplar");
            std::size_t points = 0;
            for (const auto& [key, value] : exemplar.labels) { points += size(key) + size(value); }
            require(points <= 128, "an exemplar with more than 128 code points");
            sample.exemplar = exemplar;
        }
        require(!families_.empty(), "a sample without a family");
        auto& family = families_.back();
        check_suffix(family, sample);
        require(series_.insert({sample.name, sample.labels}).second, "a sample twice");
        family.samples.push_back(std::move(sample));
    }

    static std::size_t size(std::string_view text) {
        std::size_t points = 0;
        for (; !text.empty(); ++points) {
            text.remove_prefix(weft::detail::leading_code_point(text).size);
        }
        return points;
    }

    void check_suffix(const ParsedFamily& family, const ParsedSample& sample) const {
        require(sample.name.starts_with(family.name), "a sample of another family");
        const auto suffix = sample.name.substr(family.name.size());
        if (family.type == "counter") {
            require(
                open_metrics_ ? suffix == "_total" || suffix == "_created" : suffix.empty(),
                "a bad suffix of a counter");
            require(!open_metrics_ || sample.value >= 0, "a counter below zero");
        } else if (family.type == "gauge") {
            require(suffix.empty(), "a bad suffix of a gauge");
        } else if (family.type == "info") {
            require(suffix == "_info" && sample.value_text == "1", "a bad info");
        } else {
            require(
                suffix == "_bucket" || suffix == "_sum" || suffix == "_count" ||
                    (open_metrics_ && suffix == "_created"),
                "a bad suffix of a histogram");
            require(sample.labels.contains("le") == (suffix == "_bucket"), "le out of place");
        }
        if (sample.exemplar) {
            require(suffix == "_total" || suffix == "_bucket", "an exemplar out of place");
        }
    }

    void check_histogram(const ParsedFamily& family) const {
        if (family.type != "histogram") { return; }
        struct Seen {
            double bound = -std::numeric_limits<double>::infinity();
            double total = -1;
            bool first = true;
        };
        std::map<ParsedLabels, Seen> seen;
        std::map<ParsedLabels, double> counts;
        for (const auto& sample : family.samples) {
            auto labels = sample.labels;
            labels.erase("le");
            if (sample.name.ends_with("_bucket")) {
                auto& last = seen[labels];
                auto text = sample.labels.at("le");
                const double bound = text == "+Inf" ? std::numeric_limits<double>::infinity()
                                                    : std::strtod(text.c_str(), nullptr);
                require(last.first || bound > last.bound, "bounds out of order");
                require(sample.value >= last.total, "buckets that shrink");
                if (sample.exemplar) {
                    require(
                        sample.exemplar->value <= bound &&
                            (last.first || sample.exemplar->value > last.bound),
                        "an exemplar outside of its bucket");
                }
                last = {bound, sample.value, false};
            }
            if (sample.name.ends_with("_count")) { counts[labels] = sample.value; }
        }
        for (const auto& [labels, last] : seen) {
            require(std::isinf(last.bound), "no bucket +Inf");
            const auto count = counts.find(labels);
            require(count == counts.end() || count->second == last.total, "+Inf is not the count");
        }
    }

    bool open_metrics_;
    std::string_view whole_line_;
    std::string_view line_;
    std::vector<ParsedFamily> families_;
    std::set<std::string> names_;
    std::set<std::pair<std::string, ParsedLabels>> series_;
};

} // namespace weft::testing
