#pragma once
// docs/metrics-reference.md, compared with what a collection shows. WEFT_METRICS_REFERENCE is its path.

#include <weft/testing/metric_snapshot.hpp>

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace weft::testing {

struct ReferenceRow {
    std::string instrument;
    std::string unit;
    std::set<std::string> attributes;
};

/// Every text between backquotes.
[[nodiscard]] inline std::vector<std::string> backquoted(std::string_view cell) {
    std::vector<std::string> texts;
    for (auto begin = cell.find('`'); begin != std::string_view::npos;) {
        const auto end = cell.find('`', begin + 1);
        if (end == std::string_view::npos) { break; }
        texts.emplace_back(cell.substr(begin + 1, end - begin - 1));
        begin = cell.find('`', end + 1);
    }
    return texts;
}

/// Rows `| name | instrument | unit | attributes | meaning |`, by name.
[[nodiscard]] inline std::map<std::string, ReferenceRow> metrics_reference() {
    std::map<std::string, ReferenceRow> rows;
    std::ifstream file(WEFT_METRICS_REFERENCE);
    EXPECT_TRUE(file.good()) << WEFT_METRICS_REFERENCE;
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("| `")) { continue; }
        std::vector<std::string> cells;
        std::stringstream parts(line.substr(1));
        for (std::string cell; std::getline(parts, cell, '|');) { cells.push_back(cell); }
        const auto names = backquoted(cells.at(0));
        if (cells.size() < 5 || names.size() != 1) { continue; }
        const auto unit = backquoted(cells[2]);
        const auto attributes = backquoted(cells[3]);
        rows[names[0]] = {
            cells[1].substr(1, cells[1].size() - 2),
            unit.empty() ? "" : unit[0],
            {attributes.begin(), attributes.end()}};
    }
    return rows;
}

/// What a collection can tell of an instrument's kind: a point does not say whether it was observed.
[[nodiscard]] inline bool fits(const std::string& instrument, const SnapshotMetric& metric) {
    if (instrument == "Counter") { return metric.kind == MetricKind::sum && metric.is_monotonic; }
    if (instrument == "UpDownCounter") {
        return metric.kind == MetricKind::sum && !metric.is_monotonic;
    }
    if (instrument == "Gauge") { return metric.kind == MetricKind::gauge; }
    return instrument == "Histogram" && metric.kind == MetricKind::histogram;
}

/// Every metric of the collection is in the reference, with its kind, unit and attributes.
inline void expect_documented(const MetricSnapshot& seen) {
    const auto reference = metrics_reference();
    for (const auto& [name, metric] : seen.metrics) {
        const auto row = reference.find(name);
        if (row == reference.end()) {
            ADD_FAILURE() << name << " is not in the reference";
            continue;
        }
        EXPECT_EQ(row->second.unit, metric.unit) << name;
        EXPECT_TRUE(fits(row->second.instrument, metric))
            << name << " is no " << row->second.instrument;
        for (const auto& point : metric.points) {
            for (const auto& [key, value] : point.attributes) {
                EXPECT_TRUE(row->second.attributes.contains(key)) << name << ": " << key;
            }
        }
    }
}

/// Every metric of the reference whose name begins so is in the collection.
inline void expect_complete(const MetricSnapshot& seen, std::string_view prefix) {
    int count = 0;
    for (const auto& [name, row] : metrics_reference()) {
        if (!name.starts_with(prefix)) { continue; }
        ++count;
        EXPECT_TRUE(seen.metrics.contains(name)) << name << " is in the reference alone";
    }
    EXPECT_GT(count, 0) << prefix;
}

} // namespace weft::testing
