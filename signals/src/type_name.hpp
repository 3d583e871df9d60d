#pragma once
#include <cxxabi.h>

#include <cstdlib>
#include <string_view>
#include <typeinfo>

namespace weft::detail {

/// A type's name as the source spells it, or without memory its mangled form.
class TypeName {
public:
    explicit TypeName(const std::type_info& type) noexcept
        : mangled_(type.name()),
          demangled_(abi::__cxa_demangle(mangled_, nullptr, nullptr, nullptr)) {}
    TypeName(const TypeName&) = delete;
    TypeName& operator=(const TypeName&) = delete;
    ~TypeName() { std::free(demangled_); }

    [[nodiscard]] std::string_view view() const noexcept {
        return demangled_ != nullptr ? demangled_ : mangled_;
    }

private:
    const char* mangled_;
    char* demangled_;
};

} // namespace weft::detail
