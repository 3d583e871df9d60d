#include "utf8.hpp"
#include "wire.hpp"

#include <weft/runtime/ids.hpp>
#include <weft/signals/resource.hpp>

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <new>

namespace weft {
namespace {

constexpr char tag_attributes = 0x0a;
constexpr std::uint32_t value_bytes_max = 1u << 20;

std::string executable_path() {
    std::array<char, 4096> path;
    const auto size = readlink("/proc/self/exe", path.data(), path.size());
    return size > 0 ? std::string(path.data(), static_cast<std::size_t>(size)) : std::string();
}

// A random UUID, version 4. Source: RFC 9562, "UUID Version 4".
std::string random_uuid() {
    TraceId id = random_trace_id();
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
    const auto hex = id.to_hex();
    return fmt::format(
        "{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
        hex.substr(20));
}

// The conventions' name for what uname calls the machine.
std::string_view arch_name(std::string_view machine) {
    if (machine == "x86_64") { return "amd64"; }
    if (machine == "aarch64") { return "arm64"; }
    if (machine == "i686" || machine == "i386") { return "x86"; }
    if (machine.substr(0, 3) == "arm") { return "arm32"; }
    return machine;
}

} // namespace

Resource& Resource::set(std::string_view key, const AttributeValue& value) {
    if (key.empty()) { return *this; }
    detail::wire::Buffer buffer;
    buffer.reset(nullptr, 0, value_bytes_max);
    if (!detail::wire::put_attribute(buffer, tag_attributes, key, value, {})) {
        buffer.release();
        throw std::bad_alloc();
    }
    Value made{std::string(buffer.data(), buffer.size()), {}};
    buffer.release();
    if (value.type() == AttributeValue::Type::string) { made.text = value.string(); }
    // By the key as it was written: two that become equal by repair are one.
    std::string written(detail::repaired_size(key, SpanLimits::unlimited), '\0');
    detail::copy_repaired(key, SpanLimits::unlimited, written.data());
    values_.insert_or_assign(std::move(written), std::move(made));
    return *this;
}

void Resource::merge(const Resource& updating) {
    for (const auto& [key, value] : updating.values_) { values_.insert_or_assign(key, value); }
    if (!updating.schema_url.empty()) { schema_url = updating.schema_url; }
}

std::string_view Resource::text(std::string_view key) const noexcept {
    const auto found = values_.find(key);
    return found == values_.end() ? std::string_view() : std::string_view(found->second.text);
}

std::string Resource::encoded() const {
    std::string message;
    for (const auto& [key, value] : values_) { message += value.field; }
    return message;
}

Resource Resource::detect() {
    Resource resource;
    resource.schema_url = "https://opentelemetry.io/schemas/1.44.0";
    resource.set("telemetry.sdk.name", "weft")
        .set("telemetry.sdk.language", "cpp")
        .set("telemetry.sdk.version", WEFT_VERSION)
        .set("service.instance.id", random_uuid())
        .set("process.pid", static_cast<std::int64_t>(getpid()))
        .set("process.runtime.name", "c++");

    const auto path = executable_path();
    const auto name = path.substr(path.rfind('/') + 1);
    if (!path.empty()) {
        resource.set("process.executable.path", path).set("process.executable.name", name);
    }
    resource.set(
        "service.name", name.empty() ? std::string("unknown_service") : "unknown_service:" + name);

    utsname system{};
    if (uname(&system) == 0) {
        resource.set("host.name", std::string_view(system.nodename))
            .set("host.arch", arch_name(system.machine))
            .set("os.type", "linux")
            .set("os.description", fmt::format("{} {}", system.sysname, system.release));
    }
    return resource;
}

} // namespace weft
