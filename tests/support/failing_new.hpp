#pragma once

namespace weft::testing {

/// While one is armed on this thread, its operator new fails, as its form does, once `allocations`
/// have succeeded. The binary must contain failing_new.cpp.
class FailingNew {
public:
    explicit FailingNew(int allocations) noexcept;
    FailingNew(const FailingNew&) = delete;
    FailingNew& operator=(const FailingNew&) = delete;
    ~FailingNew() { disarm(); }

    void disarm() noexcept;
};

} // namespace weft::testing
