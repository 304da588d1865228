// The part of preprocess that is the same on every level: the plan, the border, and the loop over rows.
#include "preprocess.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "../core/checked_math.hpp"
#include "../core/thread_pool.hpp"
#include "kernel_table.hpp"
#include "preprocess_axis.hpp"
#include "preprocess_positions.hpp"
#include "preprocess_values.hpp"

namespace handpose {
namespace {

// A centre on the image's edge is inside, also where the affine's rounding has moved it a little; in pixels.
constexpr double kEdgeTolerance = 1e-6;

// A plane's axis maps: chroma planes have half the coordinates.
AxisMap axis_map(const ImageView& source, const PreprocessParams& params, const TensorView& out, int plane,
                 bool vertical) {
  const Affine& a = params.image_from_input;
  const double half = plane == 0 ? 1 : 0.5;
  const Plane& pixels = source.planes[plane];
  const std::int32_t extent = (vertical ? source.height : source.width) * (plane == 0 ? 2 : 1);
  return {(vertical ? a.yy : a.xx) * half,         (vertical ? a.y0 : a.x0) * half,
          vertical ? pixels.height : pixels.width, extent,
          vertical ? out.height : out.width,       kEdgeTolerance * half};
}

constexpr std::size_t kAlign = 64;

// Hands out the workspace piece by piece; without memory it only counts.
class Arena {
 public:
  explicit Arena(void* memory) : memory_(static_cast<unsigned char*>(memory)) {}

  template <typename T>
  T* take(std::size_t rows, std::size_t columns = 1) {
    T* const piece = memory_ != nullptr ? reinterpret_cast<T*>(memory_ + used_.value()) : nullptr;
    used_ = used_ + (CheckedSize(sizeof(T)) * rows * columns).rounded_up(kAlign);
    return piece;
  }

  std::size_t used() const { return used_.ok() ? used_.value() : 0; }

 private:
  unsigned char* memory_;
  CheckedSize used_{0};
};

void take_axis(Arena* arena, const AxisMap& map, Filter filter, bool vertical, AxisTable* table) {
  const auto outputs = static_cast<std::size_t>(map.outputs) + kMostBlock;
  const bool linear = filter == Filter::kLinear;
  table->taps = axis_taps(filter, map);
  table->stride = axis_weight_stride(filter, table->taps);
  table->start = arena->take<std::int32_t>(outputs);
  table->weights = arena->take<std::int16_t>(outputs, static_cast<std::size_t>(table->stride));
  if (!linear && !vertical) {
    const auto taps = (static_cast<std::size_t>(table->taps) + 15) / 16 * 16;
    table->strands.offsets = arena->take<std::int32_t>(outputs);
    table->strands.places = arena->take<unsigned char>(outputs, kPlacesBytes);
    table->strands.weights = arena->take<unsigned char>(outputs, taps * kStrandBytesPerTap);
  }
  if (linear && vertical) table->down = arena->take<std::int16_t>(outputs);
  if (linear && !vertical) table->offsets = arena->take<std::int32_t>(outputs);
  if (linear && !vertical) table->shifts = arena->take<std::uint8_t>(outputs);
  if (linear && !vertical) table->shuffles = arena->take<unsigned char>(outputs, kShuffleBytes);
}

int table_count(const ImageView& source) { return is_yuv(source.format) ? 2 : 1; }

// Takes what is worked on row by row.
void take_rows(Arena* arena, PreprocessPlan* plan) {
  const auto outputs = static_cast<std::size_t>(plan->out.width) + kMostBlock;
  if (plan->params.filter != Filter::kLinear) {
    for (int i = 0; i < plane_count(plan->source.format); ++i) {
      plan->sums[i] =
          arena->take<std::int32_t>(std::size_t{kMostActive} * outputs, kSumBytesPerOutput / sizeof(std::int32_t));
      plan->samples[i] = arena->take<std::uint8_t>(outputs, 4);
    }
    plan->row_sums = arena->take<std::int16_t>(outputs, kRowsAtOnce * kSumBytesPerOutput / sizeof(std::int32_t));
    plan->edge_rows =
        arena->take<std::uint8_t>(kRowsAtOnce, static_cast<std::size_t>(plan->source.width) * 3 + kBeyondRow);
  }
  for (float*& row : plan->levels) row = arena->take<float>(outputs);
}

// Lays the plan out in the arena, first the tables: where they lie depends on what same_geometry compares only.
void take_plan(Arena* arena, PreprocessPlan* plan) {
  const PreprocessParams& params = plan->params;
  const auto out_width = static_cast<std::size_t>(plan->out.width);
  if (params.image_from_input.axis_aligned()) {
    for (int plane = 0; plane < table_count(plan->source); ++plane) {
      const AxisMap x = axis_map(plan->source, params, plan->out, plane, false);
      const AxisMap y = axis_map(plan->source, params, plan->out, plane, true);
      take_axis(arena, x, params.filter, false, &plan->x[plane]);
      take_axis(arena, y, params.filter, true, &plan->y[plane]);
    }
  }
  if (!params.image_from_input.axis_aligned()) {
    for (int plane = 0; plane < table_count(plan->source); ++plane) {
      plan->across[plane].of_columns = arena->take<std::int32_t>(out_width + kMostBlock);
      plan->down[plane].of_columns = arena->take<std::int32_t>(out_width + kMostBlock);
    }
    plan->inside = arena->take<Columns>(static_cast<std::size_t>(plan->out.height));
    plan->plain = arena->take<Columns>(static_cast<std::size_t>(plan->out.height));
    plan->done = arena->take<Columns>(static_cast<std::size_t>(plan->out.height));
  }
  plan->border_row = arena->take<unsigned char>(out_width * 3, item_size(plan->out.dtype));
  const std::size_t before = arena->used();
  take_rows(arena, plan);
  plan->thread_bytes = arena->used() - before;
  arena->take<unsigned char>(plan->thread_bytes, static_cast<std::size_t>(params.threads) - 1);
}

// The plan for one of the threads that share the rows, with working memory of its own.
PreprocessPlan plan_of_thread(const PreprocessPlan& plan, std::int32_t thread) {
  PreprocessPlan own = plan;
  const std::size_t offset = static_cast<std::size_t>(thread) * plan.thread_bytes;
  const auto move = [offset](auto*& piece) {
    using Piece = std::remove_reference_t<decltype(piece)>;
    if (piece != nullptr) piece = reinterpret_cast<Piece>(reinterpret_cast<unsigned char*>(piece) + offset);
  };
  for (std::int32_t*& plane : own.sums) move(plane);
  for (std::uint8_t*& plane : own.samples) move(plane);
  move(own.row_sums);
  move(own.edge_rows);
  for (float*& row : own.levels) move(row);
  return own;
}

// The row that the border makes.
void fill_border_row(const PreprocessPlan& plan) {
  const auto width = static_cast<std::size_t>(plan.out.width);
  const bool planar = plan.out.layout == Layout::kNchw;
  for (std::size_t c = 0; c < 3; ++c) {
    const float value = plan.params.border_value[c] * plan.params.scale[c] + plan.params.bias[c];
    for (std::size_t x = 0; x < width; ++x) {
      store_value(plan.border_row, plan.out.dtype, planar ? c * width + x : 3 * x + c, value);
    }
  }
}

// Writes the border into columns begin <= x < end of row y.
void copy_border(const PreprocessPlan& plan, std::int32_t y, std::int32_t begin, std::int32_t end) {
  if (begin >= end) return;
  const std::size_t item = item_size(plan.out.dtype);
  const bool planar = plan.out.layout == Layout::kNchw;
  const std::size_t pixel = planar ? item : 3 * item;
  const std::size_t row = static_cast<std::size_t>(plan.out.width) * pixel;
  const std::size_t first = static_cast<std::size_t>(begin) * pixel;
  const std::size_t bytes = static_cast<std::size_t>(end - begin) * pixel;
  for (std::size_t c = 0; c < (planar ? 3u : 1u); ++c) {
    const std::size_t above = c * static_cast<std::size_t>(plan.out.height) + static_cast<std::size_t>(y);
    std::memcpy(static_cast<unsigned char*>(plan.out.data) + above * row + first, plan.border_row + c * row + first,
                bytes);
  }
}

// Writes the border into what a row has outside `inside`.
void copy_border_round(const PreprocessPlan& plan, std::int32_t y, const Columns& inside) {
  copy_border(plan, y, 0, inside.begin);
  copy_border(plan, y, inside.end, plan.out.width);
}

// The tables to fill, with all but what they hold.
PreprocessTables tables_of(const PreprocessPlan& plan, Isa isa) {
  PreprocessTables tables;
  tables.filled = true;
  tables.isa = isa;
  tables.format = plan.source.format;
  tables.width = plan.source.width;
  tables.height = plan.source.height;
  tables.out_width = plan.out.width;
  tables.out_height = plan.out.height;
  tables.image_from_input = plan.params.image_from_input;
  tables.filter = plan.params.filter;
  tables.border = plan.params.border;
  return tables;
}

bool same_geometry(const PreprocessTables& a, const PreprocessTables& b) {
  const Affine &m = a.image_from_input, &n = b.image_from_input;
  return a.filled == b.filled && a.isa == b.isa && a.format == b.format && a.width == b.width && a.height == b.height &&
         a.out_width == b.out_width && a.out_height == b.out_height && a.filter == b.filter && a.border == b.border &&
         m.xx == n.xx && m.xy == n.xy && m.x0 == n.x0 && m.yx == n.yx && m.yy == n.yy && m.y0 == n.y0;
}

void fill_tables(PreprocessPlan* plan, const KernelTable& kernels) {
  for (int plane = 0; plane < table_count(plan->source); ++plane) {
    fill_axis(axis_map(plan->source, plan->params, plan->out, plane, false), plan->params, &plan->x[plane]);
    fill_axis(axis_map(plan->source, plan->params, plan->out, plane, true), plan->params, &plan->y[plane]);
  }
  (plan->params.filter == Filter::kLinear ? kernels.prepare_linear : kernels.prepare_taps)(plan);
}

// Puts the tables into the plan: those of the last call where they are the same.
void provide_tables(PreprocessPlan* plan, const KernelTable& kernels, PreprocessTables* kept) {
  PreprocessTables wanted = tables_of(*plan, kernels.isa);
  if (!same_geometry(*kept, wanted)) {
    fill_tables(plan, kernels);
    std::copy(plan->x, plan->x + 2, wanted.x);
    std::copy(plan->y, plan->y + 2, wanted.y);
    *kept = wanted;
  }
  std::copy(kept->x, kept->x + 2, plan->x);
  std::copy(kept->y, kept->y + 2, plan->y);
}

// Of every kind of call.
Pace& pace_of(const PreprocessPlan& plan, Isa isa) {
  static Pace paces[kIsaCount][kFilterCount][2][2];
  return paces[static_cast<std::size_t>(isa)][static_cast<std::size_t>(plan.params.filter)]
              [plan.params.image_from_input.axis_aligned() ? 1 : 0][is_yuv(plan.source.format) ? 1 : 0];
}

// How many samples of a plane lie from the first to the last that outputs read.
double span_of(const AxisTable& axis) {
  return axis.begin == axis.end ? 0 : std::abs(axis.start[axis.end - 1] - axis.start[axis.begin]) + axis.taps;
}

// What the time of a call goes by: about the bytes that it reads and writes, as if all of them were BGR and float32.
double bytes_of(const PreprocessPlan& plan) {
  const double written = 12.0 * plan.out.width * plan.out.height;
  if (!plan.params.image_from_input.axis_aligned()) return 2 * written;
  const AxisTable &x = plan.x[0], &y = plan.y[0];
  if (plan.params.filter == Filter::kLinear) return written + 12.0 * (x.end - x.begin) * (y.end - y.begin);
  return written + 3 * span_of(x) * span_of(y);
}

// Calls rows(plan, begin, end) for all rows of the output, which threads share.
template <typename Rows>
void share_rows(const PreprocessPlan& plan, const KernelTable& kernels, const Rows& rows) {
  // With these filters neighbouring rows of the output take the same rows of the source, which a range sums once.
  const std::size_t overlap = plan.params.filter == Filter::kLinear ? 0 : 1;
  const Load load{static_cast<std::size_t>(plan.out.height), overlap, bytes_of(plan), &pace_of(plan, kernels.isa)};
  share_items(load, plan.params.threads, [&](std::int32_t thread, std::size_t begin, std::size_t end) {
    rows(plan_of_thread(plan, thread), static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end));
  });
}

void preprocess_upright(const PreprocessPlan& plan, const KernelTable& kernels) {
  // Rows and columns that lie inside the image, the same for all planes.
  const Columns columns{plan.x[0].begin, plan.x[0].end};
  const bool none = columns.begin == columns.end || plan.y[0].begin == plan.y[0].end;
  const std::int32_t width = plan.out.width, height = plan.out.height;
  const std::int32_t top = none ? height : plan.y[0].begin, bottom = none ? height : plan.y[0].end;
  const bool bordered = top > 0 || bottom < height || columns.begin > 0 || columns.end < width;
  if (bordered) fill_border_row(plan);
  const auto rows = plan.params.filter == Filter::kLinear ? kernels.linear_rows : kernels.taps_rows;
  share_rows(plan, kernels, [&](const PreprocessPlan& own, std::int32_t begin, std::int32_t end) {
    for (std::int32_t y = begin; bordered && y < end; ++y) {
      copy_border_round(own, y, y >= top && y < bottom ? columns : Columns{width, width});
    }
    const std::int32_t first = std::max(begin, top), last = std::min(end, bottom);
    if (first < last) rows(own, first, last);
  });
}

// From a point's coordinate in the image, per_column * x + per_row * y + first, to the position in a plane, which has
// `half` of it.
void fill_position_axis(double per_column, double per_row, double first, double half, std::int32_t drop,
                        std::int32_t columns, PositionAxis* axis) {
  constexpr double kUnit = 1 << kPositionBits;
  axis->per_column = bounded(per_column * half * kUnit, kMostStep);
  axis->per_row = bounded(per_row * half * kUnit, kMostStep);
  axis->first = bounded((first * half - 0.5) * kUnit + (1 << drop) / 2, kMostOffset);
  for (std::int32_t x = 0; x < columns; ++x) {
    axis->of_columns[x] = static_cast<std::int32_t>(position_of_column(*axis, x));
  }
  std::fill_n(axis->of_columns + columns, kMostBlock, axis->of_columns[columns - 1]);
}

// Those of columns between lie between.
bool narrow_axis(const PositionAxis& axis, std::int32_t columns) {
  const std::int64_t ends[2] = {position_of_column(axis, 0), position_of_column(axis, columns - 1)};
  return std::max(std::abs(ends[0]), std::abs(ends[1])) < kMostNarrow;
}

void fill_positions(PreprocessPlan* plan) {
  const Affine& a = plan->params.image_from_input;
  for (int plane = 0; plane < table_count(plan->source); ++plane) {
    const double half = plane == 0 ? 1 : 0.5;
    fill_position_axis(a.xx, a.xy, a.x0, half, kDropAcross, plan->out.width, &plan->across[plane]);
    fill_position_axis(a.yx, a.yy, a.y0, half, kDropDown, plan->out.width, &plan->down[plane]);
  }
  // Chroma has half of everything.
  plan->narrow = narrow_axis(plan->across[0], plan->out.width) && narrow_axis(plan->down[0], plan->out.width) &&
                 std::max(plan->source.width, plan->source.height) <= kMostNarrowSide;
}

bool all_plain(const PreprocessPlan& plan) {
  for (int plane = 0; plane < table_count(plan.source); ++plane) {
    const Plane& pixels = plan.source.planes[plane];
    if (!all_between(plan.across[plane], plan.out, plain_across(pixels))) return false;
    if (!all_between(plan.down[plane], plan.out, plain_down(pixels))) return false;
  }
  return true;
}

// Finds the inside and the plain columns of a row and writes the border.
void place_rotated_row(const PreprocessPlan& plan, std::int32_t y) {
  Columns columns{0, plan.out.width};
  if (plan.params.border == Border::kConstant) {
    columns = columns_between(plan.across[0], y, inside_positions(plan.source.width, kDropAcross), columns);
    columns = columns_between(plan.down[0], y, inside_positions(plan.source.height, kDropDown), columns);
    copy_border_round(plan, y, columns);
  }
  plan.inside[y] = columns;
  for (int plane = 0; plane < table_count(plan.source); ++plane) {
    const Plane& pixels = plan.source.planes[plane];
    columns = columns_between(plan.across[plane], y, plain_across(pixels), columns);
    columns = columns_between(plan.down[plane], y, plain_down(pixels), columns);
  }
  plan.plain[y] = columns;
}

void preprocess_rotated(const PreprocessPlan& plan, const KernelTable& kernels) {
  const bool plain = all_plain(plan);
  if (!plain && plan.params.border == Border::kConstant) fill_border_row(plan);
  share_rows(plan, kernels, [&](const PreprocessPlan& own, std::int32_t begin, std::int32_t end) {
    for (std::int32_t y = begin; y < end; ++y) {
      own.inside[y] = own.plain[y] = {0, own.out.width};
      if (!plain) place_rotated_row(own, y);
      own.done[y] = {own.inside[y].begin, own.inside[y].begin};
    }
    kernels.rotated_rows(own, begin, end);
  });
}

}  // namespace

std::size_t preprocess_workspace_bytes(const ImageView& source, const PreprocessParams& params, const TensorView& out) {
  PreprocessPlan plan{};
  plan.source = source;
  plan.params = params;
  plan.out = out;
  Arena arena(nullptr);
  take_plan(&arena, &plan);
  return arena.used();
}

void preprocess(const ImageView& source, const PreprocessParams& params, const TensorView& out, void* workspace,
                PreprocessTables* tables) {
  PreprocessPlan plan{};
  plan.source = source;
  plan.params = params;
  plan.out = out;
  Arena arena(workspace);
  take_plan(&arena, &plan);
  const KernelTable& kernels = active_kernels();
  if (params.image_from_input.axis_aligned()) {
    provide_tables(&plan, kernels, tables);
    preprocess_upright(plan, kernels);
  } else {
    tables->filled = false;  // their memory serves other purposes
    fill_positions(&plan);
    preprocess_rotated(plan, kernels);
  }
}

}  // namespace handpose
