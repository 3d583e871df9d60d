#include <weft/runtime/baggage.hpp>

#include <cstring>
#include <new>

namespace weft {
namespace {

// Written by any thread, read by refused(). A counter: nothing depends on its order.
std::atomic<std::uint64_t> refused_entries{0};

void count_refused(std::size_t entries) noexcept {
    refused_entries.fetch_add(entries, std::memory_order_relaxed); // A counter.
}

} // namespace

// The places and then the characters follow the block in the same allocation.
struct Baggage::Block {
    // Written and read by every holder's thread; the last to leave frees.
    std::atomic<std::uint32_t> holders{1};
    std::uint32_t count = 0;
    detail::BaggagePlace* places() noexcept {
        return reinterpret_cast<detail::BaggagePlace*>(this + 1);
    }
    char* text() noexcept { return reinterpret_cast<char*>(places() + count); }
};
static_assert(Baggage::bytes_max <= 65535, "offsets are 16 bits");

std::size_t Baggage::size() const noexcept { return block_ == nullptr ? 0 : block_->count; }

Baggage::Entry Baggage::at(std::size_t index) const noexcept {
    const auto place = block_->places()[index];
    const char* text = block_->text() + place.at;
    return {
        {text, place.name_bytes},
        {text + place.name_bytes, place.value_bytes},
        {text + place.name_bytes + place.value_bytes, place.metadata_bytes}};
}

std::optional<Baggage::Entry> Baggage::find(std::string_view name) const noexcept {
    for (const Entry entry : *this) {
        if (entry.name == name) { return entry; }
    }
    return std::nullopt;
}

std::optional<std::string_view> Baggage::get(std::string_view name) const noexcept {
    const auto entry = find(name);
    return entry ? std::optional(entry->value) : std::nullopt;
}

Baggage Baggage::set(
    std::string_view name, std::string_view value, std::string_view metadata) const noexcept {
    BaggageBuilder builder(*this);
    if (!builder.set(name, value, metadata)) {
        count_refused(1);
        return *this;
    }
    auto changed = builder.build();
    return changed.empty() ? *this : changed;
}

Baggage Baggage::remove(std::string_view name) const noexcept {
    BaggageBuilder builder(*this);
    if (!builder.remove(name)) { return *this; }
    return builder.build(); // Without memory empty: what must go is gone, and it is never sent.
}

std::uint64_t Baggage::refused() noexcept {
    return refused_entries.load(std::memory_order_relaxed); // A counter.
}

bool operator==(const Baggage& a, const Baggage& b) noexcept {
    if (a.block_ == b.block_) { return true; }
    if (a.size() != b.size()) { return false; }
    for (const auto entry : a) {
        if (b.find(entry.name) != entry) { return false; }
    }
    return true;
}

void Baggage::retain() const noexcept {
    // relaxed: a copy is made from a live holder, so the count cannot reach zero meanwhile.
    if (block_ != nullptr) { block_->holders.fetch_add(1, std::memory_order_relaxed); }
}

void Baggage::release() noexcept {
    // acq_rel: every holder's last read happens before the one that frees.
    if (block_->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        block_->~Block();
        ::operator delete(block_);
    }
    block_ = nullptr;
}

BaggageBuilder::BaggageBuilder(const Baggage& from) noexcept {
    for (const auto entry : from) { // It fits: it was built under the same bounds.
        (void)set(entry.name, entry.value, entry.metadata);
    }
}

bool BaggageBuilder::set(
    std::string_view name, std::string_view value, std::string_view metadata) noexcept {
    const auto index = index_of(name);
    const bool replaces = index < count_;
    const std::size_t freed = replaces ? place_[index].bytes() : 0;
    const std::size_t room = Baggage::bytes_max - (bytes_ - freed);
    // One by one, for the sum of three sizes could wrap.
    if (name.empty() || name.size() > room || value.size() > room - name.size() ||
        metadata.size() > room - name.size() - value.size() ||
        (!replaces && count_ == Baggage::entries_max)) {
        return false;
    }
    if (replaces) { erase(index); }
    place_[count_++] = {
        static_cast<std::uint16_t>(bytes_), static_cast<std::uint16_t>(name.size()),
        static_cast<std::uint16_t>(value.size()), static_cast<std::uint16_t>(metadata.size())};
    append(name);
    append(value);
    append(metadata);
    return true;
}

bool BaggageBuilder::remove(std::string_view name) noexcept {
    const auto index = index_of(name);
    if (index == count_) { return false; }
    erase(index);
    return true;
}

Baggage BaggageBuilder::build() const noexcept {
    Baggage baggage;
    if (count_ == 0) { return baggage; }
    const std::size_t places = count_ * sizeof(detail::BaggagePlace);
    void* memory = ::operator new(sizeof(Baggage::Block) + places + bytes_, std::nothrow);
    if (memory == nullptr) {
        count_refused(count_);
        return baggage;
    }
    auto* block = new (memory) Baggage::Block;
    block->count = static_cast<std::uint32_t>(count_);
    std::memcpy(block->places(), place_.data(), places);
    std::memcpy(block->text(), text_.data(), bytes_);
    baggage.block_ = block;
    return baggage;
}

std::size_t BaggageBuilder::index_of(std::string_view name) const noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
        if (std::string_view(text_.data() + place_[i].at, place_[i].name_bytes) == name) {
            return i;
        }
    }
    return count_;
}

void BaggageBuilder::erase(std::size_t index) noexcept {
    const auto gone = place_[index];
    const auto bytes = gone.bytes();
    std::memmove(text_.data() + gone.at, text_.data() + gone.at + bytes, bytes_ - gone.at - bytes);
    bytes_ -= bytes;
    for (std::size_t i = index + 1; i < count_; ++i) {
        place_[i - 1] = place_[i];
        place_[i - 1].at = static_cast<std::uint16_t>(place_[i].at - bytes);
    }
    --count_;
}

void BaggageBuilder::append(std::string_view text) noexcept {
    if (text.empty()) { return; } // memcpy must not be given a null pointer.
    std::memcpy(text_.data() + bytes_, text.data(), text.size());
    bytes_ += text.size();
}

} // namespace weft
