#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string_view>

namespace weft::detail {

/// A text that grows up to a bound and keeps its memory for the next one. Not a std::string: growing one writes zeros
/// first, which for megabytes costs more than the text.
class PrometheusOutput {
public:
    explicit PrometheusOutput(std::size_t bytes_max) noexcept : bytes_max_(bytes_max) {}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::string_view text() const noexcept { return {data_.get(), size_}; }
    void clear() noexcept { size_ = 0; }

    /// Where the next `bytes` may be written; advance_to() takes what was. Errors: std::length_error, std::bad_alloc.
    [[nodiscard]] char* room(std::size_t bytes) {
        if (bytes > capacity_ - size_) [[unlikely]] { grow(bytes); }
        return data_.get() + size_;
    }
    void advance_to(const char* end) noexcept {
        size_ = static_cast<std::size_t>(end - data_.get());
    }

    void put(std::string_view text) {
        if (text.empty()) { return; }
        char* const out = room(text.size());
        std::memcpy(out, text.data(), text.size());
        size_ += text.size();
    }

    void trim(std::size_t bytes_max) noexcept {
        if (capacity_ <= bytes_max) { return; }
        data_.reset();
        capacity_ = size_ = 0;
    }

    void swap(PrometheusOutput& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }

private:
    void grow(std::size_t bytes) {
        constexpr std::size_t least = 64 * 1024;
        const std::size_t wanted = size_ + bytes;
        // What is asked for is room, most of which may stay empty.
        if (size_ >= bytes_max_ || bytes > 2 * bytes_max_) {
            throw std::length_error("the exposition is larger than bytes_max");
        }
        const std::size_t capacity = std::max({least, 2 * capacity_, wanted});
        auto data = std::make_unique_for_overwrite<char[]>(capacity);
        if (size_ != 0) { std::memcpy(data.get(), data_.get(), size_); }
        data_ = std::move(data);
        capacity_ = capacity;
    }

    std::unique_ptr<char[]> data_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
    std::size_t bytes_max_;
};

} // namespace weft::detail
