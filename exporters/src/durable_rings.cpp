#include "wire_check.hpp"

#include <weft/exporters/durable_rings.hpp>
#include <weft/runtime/record.hpp>

#include <fmt/format.h>

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace weft {
namespace {

// KeyValue { "weft.recovered", true } as an attribute of a Resource.
constexpr std::string_view recovered_attribute = "\x0a\x14\x0a\x0eweft.recovered\x12\x02\x10\x01";
static_assert(recovered_attribute.size() == 22);

// Gives records of another process scopes of this one's table.
class Translator final : public RecordTranslator {
public:
    Translator(Signal signal, std::string_view service) : signal_(signal), service_(service) {}

    // Only its own service's: for others this process has neither address nor credentials.
    bool begin(const RingImage& image) override {
        if (image.header().signal != static_cast<std::uint32_t>(signal_) ||
            image.service() != service_ || !detail::is_resource(image.resource()) ||
            !detail::is_utf8(image.schema_url())) {
            return false;
        }
        detail::ForeignResource resource{
            std::string(image.resource()), std::string(image.schema_url())};
        resource.message += recovered_attribute;
        resource_ = &detail::keep_foreign_resource(resource);
        scopes_.clear();
        for (const auto& scope : image.scopes()) {
            if (!detail::is_scope(scope.message) || !detail::is_utf8(scope.schema_url)) {
                continue;
            }
            const auto index =
                detail::register_foreign_scope(scope.message, scope.schema_url, *resource_);
            if (!index) { return false; } // The table is full: its records would get wrong labels.
            scopes_[scope.index] = *index;
        }
        // For those that found no room in the file.
        nameless_ = detail::register_foreign_scope({}, {}, *resource_);
        return nameless_.has_value();
    }

    bool translate(std::span<std::byte> record) override {
        RecordHeader header;
        if (record.size() < sizeof header) { return false; }
        std::memcpy(&header, record.data(), sizeof header);
        const auto body = record.subspan(sizeof header);
        const bool is_sound = signal_ == Signal::metrics
                                  ? header.items != 0 && detail::is_metric_field(body)
                                  : header.items == 1 && detail::is_span_field(body);
        if (!is_sound || header.reserved != 0) { return false; }
        const auto scope = scopes_.find(header.scope);
        header.scope = scope != scopes_.end() ? scope->second : *nameless_;
        std::memcpy(record.data(), &header, sizeof header);
        items += header.items;
        return true;
    }

    std::uint64_t items = 0;

private:
    const Signal signal_;
    const std::string_view service_;
    const detail::ForeignResource* resource_ = nullptr;
    std::map<std::uint16_t, std::uint16_t> scopes_; // Theirs to ours.
    std::optional<std::uint16_t> nameless_;
};

void report(
    Diagnostics& log, Signal signal, const std::string& directory,
    const AdoptedRecords::Report& found) {
    const auto key = fmt::format("rings.{}", name(signal));
    if (found.files != 0) {
        const auto level = found.lost != 0 ? DiagnosticLevel::warning : DiagnosticLevel::info;
        log.report(level, key + ".recovered", [&] {
            return fmt::format(
                "{}: recovered {} records of {} processes that died, from {}; {} were half written "
                "or damaged",
                name(signal), found.records, found.files, directory, found.lost);
        });
    }
    if (found.left_behind != 0) {
        log.report(DiagnosticLevel::warning, key + ".left", [&] {
            return fmt::format(
                "{}: {} ring files in {} are left for the next start: raise "
                "DurableRings::adopt_files_max or adopt_bytes_max",
                name(signal), found.left_behind, directory);
        });
    }
    if (found.unreadable != 0) {
        log.report(DiagnosticLevel::warning, key + ".unreadable", [&] {
            return fmt::format(
                "{} files in {} are damaged or of another version of weft: see 'weft ring "
                "inspect', "
                "and delete them",
                found.unreadable, directory);
        });
    }
}

} // namespace

std::string problem_in(const DurableRings& options) {
    if (!options.directory.empty() && options.directory.front() != '/') {
        return fmt::format(
            "DurableRings::directory is \"{}\": allowed is an absolute path, or nothing for the "
            "default",
            printable(options.directory, 200));
    }
    constexpr std::size_t files_max = 4096;
    if (options.adopt_files_max > files_max) {
        return fmt::format(
            "DurableRings::adopt_files_max is {}: allowed is 0 to {}", options.adopt_files_max,
            files_max);
    }
    constexpr std::size_t bytes_max = std::size_t{1} << 30;
    if (options.adopt_bytes_max > bytes_max) {
        return fmt::format(
            "DurableRings::adopt_bytes_max is {} bytes: allowed is 0 to {}",
            options.adopt_bytes_max, bytes_max);
    }
    return {};
}

RecoveredRings make_durable(
    RecordQueue& queue, const DurableRings& options, const BatchOptions& batch, Signal signal,
    std::string_view service, const EncodedResource& resource, detail::ScopeListener& scopes,
    Diagnostics& log) {
    const auto directory = options.directory.empty() ? default_ring_directory() : options.directory;
    queue.make_durable(std::make_unique<RingFile>(RingFile::Setup{
        .directory = directory,
        .signal = signal,
        .ring_bytes = batch.queue_bytes,
        .shards = batch.shards,
        .service = service,
        .resource = resource.message,
        .schema_url = resource.schema_url}));
    detail::listen_to_scopes(scopes);
    queue.divert_to_file();
    Translator translator(signal, service);
    auto adopted = std::make_unique<AdoptedRecords>();
    const auto found =
        adopted->adopt(directory, translator, {options.adopt_files_max, options.adopt_bytes_max});
    queue.adopt(std::move(adopted));
    report(log, signal, directory, found);
    return {found.files, found.records, translator.items, found.lost};
}

} // namespace weft
