#pragma once
#include <utility>

namespace weft::detail {

struct ContextValues;
void retain(ContextValues& values) noexcept;
void release(ContextValues& values) noexcept;

/// Shares what a chain carries beside its span (with.hpp). Nearly always empty, and then one null pointer.
class ContextValuesRef {
public:
    ContextValuesRef() noexcept = default;
    explicit ContextValuesRef(ContextValues* owned) noexcept : values_(owned) {}
    ContextValuesRef(const ContextValuesRef& other) noexcept : values_(other.values_) {
        if (values_ != nullptr) { retain(*values_); }
    }
    ContextValuesRef(ContextValuesRef&& other) noexcept
        : values_(std::exchange(other.values_, nullptr)) {}
    ContextValuesRef& operator=(ContextValuesRef other) noexcept {
        std::swap(values_, other.values_);
        return *this;
    }
    ~ContextValuesRef() {
        if (values_ != nullptr) { release(*values_); }
    }
    [[nodiscard]] ContextValues* get() const noexcept { return values_; }
    explicit operator bool() const noexcept { return values_ != nullptr; }

private:
    ContextValues* values_ = nullptr;
};

} // namespace weft::detail
