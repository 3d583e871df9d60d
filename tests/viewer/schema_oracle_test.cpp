// Our schema against the official one: same numbers, types, labels, names and enum values, so that
// bytes and JSON of one are those of the other. The official package may be older than the tables
// ours was written from; what it lacks is listed here, so that nothing else can be missing.
#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>

#include <gtest/gtest.h>
#include <opentelemetry/proto/collector/logs/v1/logs_service.pb.h>
#include <opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>

#include <set>
#include <string>
#include <vector>

namespace weft {
namespace {

namespace pb = google::protobuf;

// Newer than version 1.5 of the official schema.
const std::set<std::string> newer{
    "common.v1.AnyValue.string_value_strindex", "common.v1.KeyValue.key_strindex",
    "common.v1.EntityRef", "resource.v1.Resource.entity_refs"};

std::string without_prefix(const std::string& name) {
    for (const std::string prefix : {"weft.otlp.", "opentelemetry.proto."}) {
        if (name.starts_with(prefix)) { return name.substr(prefix.size()); }
    }
    return name;
}

template <class Descriptor>
bool is_newer(const Descriptor& descriptor) {
    return newer.contains(without_prefix(descriptor.full_name()));
}

void compare(const pb::EnumDescriptor& ours, const pb::EnumDescriptor& official) {
    SCOPED_TRACE(ours.full_name());
    ASSERT_EQ(ours.value_count(), official.value_count());
    for (int i = 0; i < official.value_count(); ++i) {
        EXPECT_EQ(ours.value(i)->name(), official.value(i)->name());
        EXPECT_EQ(ours.value(i)->number(), official.value(i)->number());
    }
}

void compare(const pb::FieldDescriptor& ours, const pb::FieldDescriptor& official) {
    SCOPED_TRACE(ours.full_name());
    EXPECT_EQ(ours.name(), official.name());
    EXPECT_EQ(ours.number(), official.number());
    EXPECT_EQ(ours.type(), official.type());
    EXPECT_EQ(ours.label(), official.label());
    EXPECT_EQ(ours.json_name(), official.json_name());
    EXPECT_EQ(
        ours.camelcase_name(), official.json_name()); // The reader looks fields up by this name.
    EXPECT_EQ(ours.is_packed(), official.is_packed());
    EXPECT_EQ(ours.has_presence(), official.has_presence());
    const auto name_of = [](const pb::OneofDescriptor* oneof) {
        return oneof == nullptr ? "" : oneof->name();
    };
    EXPECT_EQ(name_of(ours.real_containing_oneof()), name_of(official.real_containing_oneof()));
    if (ours.message_type() != nullptr && official.message_type() != nullptr) {
        EXPECT_EQ(
            without_prefix(ours.message_type()->full_name()),
            without_prefix(official.message_type()->full_name()));
    }
    if (ours.enum_type() != nullptr && official.enum_type() != nullptr) {
        EXPECT_EQ(
            without_prefix(ours.enum_type()->full_name()),
            without_prefix(official.enum_type()->full_name()));
    }
}

int compare(const pb::Descriptor& ours, const pb::Descriptor& official) {
    SCOPED_TRACE(ours.full_name());
    int compared = 0;
    for (int i = 0; i < official.field_count(); ++i) {
        const auto* field = ours.FindFieldByNumber(official.field(i)->number());
        if (field == nullptr) {
            ADD_FAILURE() << "no field " << official.field(i)->full_name();
            continue;
        }
        compare(*field, *official.field(i));
        ++compared;
    }
    for (int i = 0; i < ours.field_count(); ++i) {
        if (official.FindFieldByNumber(ours.field(i)->number()) == nullptr) {
            EXPECT_TRUE(is_newer(*ours.field(i)))
                << "field " << ours.field(i)->full_name() << " is not official";
        }
    }
    EXPECT_EQ(ours.reserved_range_count(), official.reserved_range_count());
    for (int i = 0; i < std::min(ours.reserved_range_count(), official.reserved_range_count());
         ++i) {
        EXPECT_EQ(ours.reserved_range(i)->start, official.reserved_range(i)->start);
        EXPECT_EQ(ours.reserved_range(i)->end, official.reserved_range(i)->end);
    }
    EXPECT_EQ(ours.nested_type_count(), official.nested_type_count());
    for (int i = 0; i < std::min(ours.nested_type_count(), official.nested_type_count()); ++i) {
        const auto* nested = ours.FindNestedTypeByName(official.nested_type(i)->name());
        if (nested == nullptr) {
            ADD_FAILURE() << "no message " << official.nested_type(i)->full_name();
            continue;
        }
        compared += compare(*nested, *official.nested_type(i));
    }
    EXPECT_EQ(ours.enum_type_count(), official.enum_type_count());
    for (int i = 0; i < std::min(ours.enum_type_count(), official.enum_type_count()); ++i) {
        compare(*ours.enum_type(i), *official.enum_type(i));
    }
    return compared;
}

int compare(const pb::FileDescriptor& ours, const pb::FileDescriptor& official) {
    SCOPED_TRACE(ours.name());
    int compared = 0;
    for (int i = 0; i < official.message_type_count(); ++i) {
        const auto* message = ours.FindMessageTypeByName(official.message_type(i)->name());
        if (message == nullptr) {
            ADD_FAILURE() << "no message " << official.message_type(i)->full_name();
            continue;
        }
        compared += compare(*message, *official.message_type(i));
    }
    for (int i = 0; i < ours.message_type_count(); ++i) {
        if (official.FindMessageTypeByName(ours.message_type(i)->name()) == nullptr) {
            EXPECT_TRUE(is_newer(*ours.message_type(i)))
                << ours.message_type(i)->full_name() << " is not official";
        }
    }
    EXPECT_EQ(ours.enum_type_count(), official.enum_type_count());
    for (int i = 0; i < std::min(ours.enum_type_count(), official.enum_type_count()); ++i) {
        compare(*ours.enum_type(i), *official.enum_type(i));
    }
    return compared;
}

template <class Ours, class Official>
int compare_files() {
    return compare(*Ours::descriptor()->file(), *Official::descriptor()->file());
}

namespace official = opentelemetry::proto;

TEST(Schema, AgreesWithTheOfficialOneForCommonAndResource) {
    EXPECT_GE((compare_files<otlp::common::v1::AnyValue, official::common::v1::AnyValue>()), 15);
    EXPECT_GE((compare_files<otlp::resource::v1::Resource, official::resource::v1::Resource>()), 2);
}

TEST(Schema, AgreesWithTheOfficialOneForTraces) {
    EXPECT_GE((compare_files<otlp::trace::v1::Span, official::trace::v1::Span>()), 30);
}

TEST(Schema, AgreesWithTheOfficialOneForMetrics) {
    EXPECT_GE((compare_files<otlp::metrics::v1::Metric, official::metrics::v1::Metric>()), 60);
}

TEST(Schema, AgreesWithTheOfficialOneForLogs) {
    EXPECT_GE((compare_files<otlp::logs::v1::LogRecord, official::logs::v1::LogRecord>()), 15);
}

TEST(Schema, AgreesWithTheOfficialOneForTheCollector) {
    namespace ours = otlp::collector;
    namespace theirs = official::collector;
    EXPECT_EQ(
        (compare_files<
            ours::trace::v1::ExportTraceServiceRequest,
            theirs::trace::v1::ExportTraceServiceRequest>()),
        4);
    EXPECT_EQ(
        (compare_files<
            ours::metrics::v1::ExportMetricsServiceRequest,
            theirs::metrics::v1::ExportMetricsServiceRequest>()),
        4);
    EXPECT_EQ(
        (compare_files<
            ours::logs::v1::ExportLogsServiceRequest,
            theirs::logs::v1::ExportLogsServiceRequest>()),
        4);
}

// Two copies of one file name or package would abort the process; both are linked here, and the
// test runs.
TEST(Schema, LivesBesideTheOfficialOneInOneProcess) {
    EXPECT_NE(
        otlp::trace::v1::Span::descriptor()->file()->package(),
        official::trace::v1::Span::descriptor()->file()->package());
    EXPECT_NE(
        otlp::trace::v1::Span::descriptor()->file()->name(),
        official::trace::v1::Span::descriptor()->file()->name());
}

} // namespace
} // namespace weft
