#include "symbols.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {
namespace {

constexpr std::size_t table_bytes_max = 256 << 20; // Of symbols, or of their names. More: `??`.
constexpr std::size_t modules_max = 256;
constexpr std::size_t name_bytes_max = 400;

class File {
public:
    explicit File(const char* path) noexcept : descriptor_(::open(path, O_RDONLY | O_CLOEXEC)) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (descriptor_ >= 0) { ::close(descriptor_); }
    }

    // All of it, or false: a file that ends early is none of ours.
    [[nodiscard]] bool read(void* out, std::size_t size, std::uint64_t offset) const noexcept {
        auto* place = static_cast<char*>(out);
        while (size != 0) { // Bound: each turn reads something.
            const ::ssize_t count = ::pread(descriptor_, place, size, static_cast<::off_t>(offset));
            if (count <= 0) { return false; }
            place += count;
            size -= static_cast<std::size_t>(count);
            offset += static_cast<std::uint64_t>(count);
        }
        return true;
    }
    template <class Element>
    [[nodiscard]] std::vector<Element> read_table(std::uint64_t offset, std::uint64_t bytes) const {
        if (bytes > table_bytes_max) { return {}; }
        std::vector<Element> table(bytes / sizeof(Element));
        if (!read(table.data(), table.size() * sizeof(Element), offset)) { table.clear(); }
        return table;
    }

private:
    const int descriptor_;
};

struct Function {
    std::uintptr_t at;
    std::uintptr_t size;
    std::uint32_t name; // In `names`.
};

// A module's functions by address, as its file lists them.
struct Module {
    std::uintptr_t base = 0; // What was added to the file's addresses.
    std::string path;
    std::vector<Function> functions;
    std::vector<char> names;

    // Null when there is none at this address of the file.
    [[nodiscard]] const Function* find(std::uintptr_t at) const noexcept {
        auto after = std::upper_bound(
            functions.begin(), functions.end(), at,
            [](std::uintptr_t value, const Function& function) { return value < function.at; });
        if (after == functions.begin()) { return nullptr; }
        const Function& function = *std::prev(after);
        return at - function.at < function.size ? &function : nullptr;
    }
};

// Source: System V ABI, "Sections" and "Symbol Table". The full table if there is one, else that of exported symbols.
void read_functions(const char* path, Module& module) {
    const File file(path);
    ElfW(Ehdr) header;
    if (!file.read(&header, sizeof header, 0) ||
        std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_shentsize != sizeof(ElfW(Shdr))) {
        return;
    }
    const auto sections = file.read_table<ElfW(Shdr)>(
        header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(ElfW(Shdr)));
    const auto of_type = [&](auto type) {
        return std::find_if(sections.begin(), sections.end(), [&](const ElfW(Shdr) & section) {
            return section.sh_type == type && section.sh_link < sections.size();
        });
    };
    auto table = of_type(ElfW(Word){SHT_SYMTAB});
    if (table == sections.end()) { table = of_type(ElfW(Word){SHT_DYNSYM}); }
    if (table == sections.end()) { return; }
    const auto& texts = sections[table->sh_link];
    module.names = file.read_table<char>(texts.sh_offset, texts.sh_size);
    if (module.names.empty()) { return; }
    module.names.back() = '\0'; // It is; but it comes from a file.
    for (const auto& symbol : file.read_table<ElfW(Sym)>(table->sh_offset, table->sh_size)) {
        if ((symbol.st_info & 0xf) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
            symbol.st_size != 0 && symbol.st_name < module.names.size()) {
            module.functions.push_back({symbol.st_value, symbol.st_size, symbol.st_name});
        }
    }
    std::sort(
        module.functions.begin(), module.functions.end(),
        [](const Function& a, const Function& b) { return a.at < b.at; });
}

// Never destroyed: static destructors may throw.
std::mutex& mutex() {
    static std::mutex& instance = *new std::mutex; // Guards modules().
    return instance;
}
std::vector<Module>& modules() {
    static auto& instance = *new std::vector<Module>;
    return instance;
}

// The module at this place, read at most once. Null when there are too many.
const Module* module_at(const ::link_map& map) {
    const std::string_view path = map.l_name;
    for (const auto& module : modules()) {
        if (module.base == map.l_addr && module.path == path) { return &module; }
    }
    if (modules().size() >= modules_max) { return nullptr; }
    Module module;
    module.base = map.l_addr;
    module.path = path;
    read_functions(path.empty() ? "/proc/self/exe" : map.l_name, module); // Empty: the program.
    return &modules().emplace_back(std::move(module));
}

std::string_view file_name(std::string_view path) noexcept {
    return path.substr(path.rfind('/') + 1); // npos + 1 is 0.
}

// One frame's line. Errors: std::bad_alloc.
std::string describe(std::size_t number, std::uintptr_t address) {
    ::Dl_info info;
    ::link_map* map = nullptr;
    if (::dladdr1(
            reinterpret_cast<void*>(address), &info, reinterpret_cast<void**>(&map),
            RTLD_DL_LINKMAP) == 0 ||
        map == nullptr) {
        return fmt::format("#{} ?? ({:#x})\n", number, address);
    }
    const std::uintptr_t at = address - map->l_addr;
    const auto module_name = file_name(info.dli_fname);
    const Module* module = module_at(*map);
    const Function* function = module != nullptr ? module->find(at) : nullptr;
    if (function == nullptr) { return fmt::format("#{} ?? ({}+{:#x})\n", number, module_name, at); }
    const char* mangled = module->names.data() + function->name;
    char* demangled = ::abi::__cxa_demangle(mangled, nullptr, nullptr, nullptr);
    const std::string name =
        std::string(demangled != nullptr ? demangled : mangled).substr(0, name_bytes_max);
    std::free(demangled);
    return fmt::format(
        "#{} {}+{:#x} ({}+{:#x})\n", number, name, at - function->at, module_name, at);
}

} // namespace

std::size_t write_stack(
    std::span<const std::uintptr_t> frames, char* out, std::size_t size) noexcept {
    constexpr std::size_t tail_bytes = 24; // "... and 64 more\n"
    std::size_t used = 0;
    std::size_t number = 0;
    try {
        const std::lock_guard lock(mutex());
        for (; number < frames.size(); ++number) {
            const std::string line = describe(number, frames[number]);
            if (used + line.size() + tail_bytes > size) { break; }
            std::memcpy(out + used, line.data(), line.size());
            used += line.size();
        }
    } catch (...) {} // No memory: the frames so far are worth having.
    if (number < frames.size() && used != 0) {
        used +=
            fmt::format_to_n(out + used, size - used, "... and {} more\n", frames.size() - number)
                .size;
    }
    return used;
}

} // namespace weft::detail
