// The memories of table views (rtl_templates/array_table.v.j2), and their products, behind the functions that these call.
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#pragma GCC optimize("O3")
#define FOR_ANY_MACHINE __attribute__((target_clones("avx2", "default")))

namespace {

struct Table {
    std::string file;
    long long banks, rows, inputs;
    const void* weights = nullptr;  // [banks, rows, inputs], int16 or int32, mapped when first multiplied
    bool wide = false;
    std::vector<int16_t> x;
    std::vector<long long> sums;  // [banks, rows]
};

std::vector<Table> tables;

void fail(const Table& table, const char* why) {
    std::fprintf(stderr, "table %s: %s\n", table.file.c_str(), why);
    std::exit(1);
}

void map_file(Table& table) {
    const long long count = table.banks * table.rows * table.inputs;
    struct stat status;
    const int file = open(table.file.c_str(), O_RDONLY);
    if (file < 0 || fstat(file, &status)) fail(table, "cannot be read");
    table.wide = status.st_size == 4 * count;
    if (status.st_size != (table.wide ? 4 : 2) * count) fail(table, "holds another geometry");
    void* const mapped = mmap(nullptr, status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapped == MAP_FAILED) fail(table, "cannot be mapped");
    close(file);
    table.weights = mapped;
}

// 32 products of a weight of 16 bits and an activation of 12 at most stay within 32 bits
constexpr int BLOCK = 32;

FOR_ANY_MACHINE long long product(const int16_t* weights, const int16_t* x, long long count) {
    long long total = 0, place = 0;
    for (; place + BLOCK <= count; place += BLOCK) {
        int32_t sum = 0;
        for (int k = 0; k < BLOCK; ++k) sum += int32_t(weights[place + k]) * x[place + k];
        total += sum;
    }
    for (; place < count; ++place) total += int32_t(weights[place]) * x[place];
    return total;
}

FOR_ANY_MACHINE long long product(const int32_t* weights, const int16_t* x, long long count) {
    long long total = 0;
    for (long long place = 0; place < count; ++place) total += int64_t(weights[place]) * x[place];
    return total;
}

}  // namespace

extern "C" {

int hardloom_table_open(const char* file, int banks, int rows, int inputs) {
    Table table;
    table.file = file, table.banks = banks, table.rows = rows, table.inputs = inputs;
    table.x.resize(inputs), table.sums.resize(size_t(banks) * rows);
    tables.push_back(table);
    return int(tables.size()) - 1;
}

void hardloom_table_input(int number, int place, int value) { tables[number].x[place] = int16_t(value); }

void hardloom_table_multiply(int number) {
    Table& table = tables[number];
    if (!table.weights) map_file(table);
    for (size_t row = 0; row < table.sums.size(); ++row) {
        const size_t first = row * table.inputs;
        table.sums[row] = table.wide
            ? product(static_cast<const int32_t*>(table.weights) + first, table.x.data(), table.inputs)
            : product(static_cast<const int16_t*>(table.weights) + first, table.x.data(), table.inputs);
    }
}

long long hardloom_table_sum(int number, int bank, int row) {
    const Table& table = tables[number];
    return row < table.rows ? table.sums[bank * table.rows + row] : 0;
}

}
