// The filters "antialias" and "cubic" of preprocess in vectors of sums; see preprocess_strands.hpp.
//
// Rows of a plane are taken a few at a time, each once: V::add_rows sums along them, and adds what comes of it, in 1/64
// grey level, to the sums of the rows of the output that they are part of. Rows of the output are begun when the first
// of their rows comes and complete with the last one, so that few are ever held at a time. V::write_samples makes
// samples of complete sums.
#pragma once

#include "preprocess_strands.hpp"

namespace handpose {
namespace {

// The samples of a vector of sums, as bytes: which of its lanes they are. They are `bytes` in all.
struct SampleOrder {
  std::int32_t bytes;
  std::uint8_t lanes[kMostBlock];
};

// Where the samples of a row of the output go, and how they are made.
struct SampleRow {
  std::int32_t vectors;
  int shift;  // a complete sum >> shift is a grey level
  SampleOrder order;
  std::uint8_t* samples;
};

// A row of the output that rows of a plane are part of.
struct ActiveRow {
  std::int32_t* sums;
  std::int16_t weights[kRowsAtOnce];
};

// Rows of a plane and the rows of the output that they are part of.
struct RowsToAdd {
  const std::uint8_t* rows[kRowsAtOnce];
  std::ptrdiff_t ahead;  // bytes to the rows that come after these, 0 where they need not be fetched
  std::int32_t channels;
  std::int32_t drop;       // a sum along a row >> drop is in 1/64 grey level
  std::int16_t* row_sums;  // memory for these, kRowsAtOnce times V::kLanes for each vector
  const SampleRow* to;
  bool complete;       // the first active row will be, and gets its samples
  std::int32_t begun;  // so many of the active rows have been begun before; others begin with what rounds them
  std::int32_t count;
  ActiveRow active[kMostActive];
};

// Whether a picture is so large that caches seldom keep it from one call to the next. Then "antialias" fetches what
// comes next; smaller pictures, and "cubic" with less to do for each row, would lose by it.
inline bool is_large(const ImageView& source) {
  std::ptrdiff_t bytes = 0;
  for (int i = 0; i < plane_count(source.format); ++i) {
    bytes += std::abs(source.planes[i].pitch_bytes) * source.planes[i].height;
  }
  return bytes > 4 << 20;
}

// Fetches what is at an offset from the start of each of the rows that come next, too long for the CPU to foresee them.
HANDPOSE_INLINE void fetch_ahead(const RowsToAdd& add, std::int32_t offset) {
  // As a number, because it may lie outside the plane, where fetching does nothing.
  const auto ahead = static_cast<std::uintptr_t>(add.ahead + offset);
  for (const std::uint8_t* row : add.rows) {
    __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(row) + ahead));
  }
}

// Adds the sums along rows to a row of the output: of the first two rows, the last two or, with 3, all.
template <typename V, int kPairs>
void add_pairs_down(const RowsToAdd& add, std::int32_t i) {
  const bool complete = add.complete && i == 0;
  const auto run = i < add.begun
                       ? complete ? V::template add_down<kPairs, true, true> : V::template add_down<kPairs, true, false>
                   : complete ? V::template add_down<kPairs, false, true>
                              : V::template add_down<kPairs, false, false>;
  run(add, add.active[i]);
}

// V::add_rows for levels that have add.row_sums done first, by V::sum_along, and add them down by V::add_down.
template <typename V>
void add_rows_in_turn(const RowsToAdd& add, const TapStrands& strands) {
  const auto sum_along = strands.parts == 1   ? V::template sum_along<1>
                         : strands.parts == 2 ? V::template sum_along<2>
                         : strands.parts == 4 ? V::template sum_along<4>
                                              : V::template sum_along<8>;
  sum_along(add, strands);
  for (std::int32_t i = 0; i < add.count; ++i) {
    const std::int16_t* weights = add.active[i].weights;
    const bool first = (weights[0] | weights[1]) != 0, last = (weights[2] | weights[3]) != 0;
    const auto run = !last ? add_pairs_down<V, 1> : !first ? add_pairs_down<V, 2> : add_pairs_down<V, 3>;
    run(add, i);
  }
}

template <typename V>
SampleOrder sample_order(const TapStrands& strands, std::int32_t channels) {
  SampleOrder order{vector_outputs(strands) * channels, {}};
  for (std::int32_t i = 0; i < order.bytes; ++i) {
    order.lanes[i] = static_cast<std::uint8_t>(sum_lane<V>(strands, channels, i / channels, i % channels));
  }
  return order;
}

// Whether the rows of the output have the order of those of the source.
inline bool rows_rise(const PreprocessPlan& plan) { return plan.params.image_from_input.yy > 0; }

// The rows of one plane: the sums of output rows begin <= y < end, asked for in the order of the plane's rows.
template <typename V>
class PlaneSums {
 public:
  PlaneSums(const PreprocessPlan& plan, int plane_index, std::int32_t begin, std::int32_t end)
      : plane_(plan.source.planes[plane_index]),
        x_axis_(plan.x[plane_index > 0 ? 1 : 0]),
        y_axis_(plan.y[plane_index > 0 ? 1 : 0]),
        sums_(plan.sums[plane_index]),
        row_sums_(plan.row_sums),
        edge_rows_(plan.edge_rows),
        begin_(begin),
        end_(end),
        rising_(rows_rise(plan)),
        fetches_(plan.params.filter == Filter::kAntialias && is_large(plan.source)) {
    to_.vectors = vector_count(x_axis_);
    to_.shift = y_axis_.bits + 6;
    to_.order = sample_order<V>(x_axis_.strands, plane_.channels);
    to_.samples = plan.samples[plane_index] + x_axis_.begin * plane_.channels;
    slots_ = y_axis_.active < kMostActive ? y_axis_.active : kMostActive;
  }

  // Makes the samples of the output row that is number i of those of this object.
  void sample(std::int32_t i) {
    bool complete = false;
    while (next_row_ < first_row(i) + y_axis_.taps) complete = add_rows(i);
    if (!complete) V::write_samples(to_, sums_of(i));
  }

 private:
  // Output rows in the order of the plane's rows.
  std::int32_t output_row(std::int32_t i) const { return rising_ ? begin_ + i : end_ - 1 - i; }
  std::int32_t first_row(std::int32_t i) const { return y_axis_.start[output_row(i)]; }
  std::int32_t* sums_of(std::int32_t i) const {
    return sums_ + static_cast<std::ptrdiff_t>(i % slots_) * to_.vectors * V::kLanes;
  }

  // The first of the rows of the plane to add next for output row number i and those after it.
  std::int32_t next_rows(std::int32_t i) const {
    return i < end_ - begin_ && first_row(i) > next_row_ ? first_row(i) : next_row_;
  }

  // The next rows of the plane, for output row number i and those after it. Whether that has completed the former.
  bool add_rows(std::int32_t i) {
    const std::int32_t first = next_rows(i);
    next_row_ = first + kRowsAtOnce;
    RowsToAdd add;
    for (std::int32_t k = 0; k < kRowsAtOnce; ++k) {
      add.rows[k] = readable_row(first + k < plane_.height ? first + k : plane_.height - 1, k);
    }
    add.channels = plane_.channels;
    add.drop = x_axis_.bits - 6;
    add.row_sums = row_sums_;
    add.to = &to_;
    add.complete = next_row_ >= first_row(i) + y_axis_.taps;
    add.begun = next_output_ < i ? 0 : next_output_ - i;
    const std::int32_t then = next_rows(add.complete ? i + 1 : i);
    add.ahead = fetches_ ? (then - first) * plane_.pitch_bytes : 0;
    add.count = 0;
    for (; i < end_ - begin_ && first_row(i) < next_row_; ++i, ++add.count) {
      add.active[add.count].sums = sums_of(i);
      const std::int16_t* weights = y_axis_.weights + static_cast<std::ptrdiff_t>(output_row(i)) * y_axis_.stride;
      for (std::int32_t k = 0; k < kRowsAtOnce; ++k) {
        const std::int32_t tap = first + k - first_row(i);
        add.active[add.count].weights[k] = tap >= 0 && tap < y_axis_.taps ? weights[tap] : std::int16_t{0};
      }
    }
    next_output_ = i;
    V::add_rows(add, x_axis_.strands);
    return add.complete;
  }

  // A row that loads may reach beyond, into what is not its own.
  const std::uint8_t* readable_row(std::int32_t y, std::int32_t place) const {
    const std::uint8_t* row = plane_.row(y);
    if (x_axis_.strands.reach <= plane_end(plane_) - row) return row;
    const std::size_t bytes = static_cast<std::size_t>(plane_.width) * static_cast<std::size_t>(plane_.channels);
    std::uint8_t* const copy = edge_rows_ + static_cast<std::size_t>(place) * (bytes + kBeyondRow);
    std::memcpy(copy, row, bytes);
    std::memset(copy + bytes, 0, kBeyondRow);
    return copy;
  }

  const Plane& plane_;
  const AxisTable& x_axis_;
  const AxisTable& y_axis_;
  std::int32_t* sums_;
  std::int16_t* row_sums_;
  std::uint8_t* edge_rows_;
  std::int32_t begin_, end_;
  bool rising_;
  bool fetches_;
  SampleRow to_;
  std::int32_t slots_;            // so many output rows have sums of their own
  std::int32_t next_row_ = 0;     // rows of the plane before this one have been added
  std::int32_t next_output_ = 0;  // output rows before this one have been begun
};

// Writes row y of the output from the samples of the planes.
template <typename V, typename Writer>
HANDPOSE_NOINLINE void write_sampled_row(const PreprocessPlan& plan, std::int32_t y) {
  const Writer writer(plan, y, 1.0f);
  const std::uint8_t* const* const from = plan.samples;
  const PixelFormat format = plan.source.format;
  for (std::int32_t x = plan.x[0].begin; x < plan.x[0].end; x += V::kBlock) {
    typename V::Float levels[3];
    if (plan.source.planes[0].channels == 3) {
      V::template load_samples<3>(from[0] + 3 * x, levels);
    } else {
      V::template load_samples<1>(from[0] + x, levels);
      levels[1] = levels[2] = levels[0];
    }
    if (format == PixelFormat::kNv12) V::template load_samples<2>(from[1] + 2 * x, levels + 1);
    if (format == PixelFormat::kYuv420p) {
      V::template load_samples<1>(from[1] + x, levels + 1);
      V::template load_samples<1>(from[2] + x, levels + 2);
    }
    if (is_yuv(format)) to_rgb<V>(plan.params.yuv, levels);
    writer.write(x, plan.x[0].end - x, levels);
  }
}

template <typename V>
struct TapsRows {
  const PreprocessPlan& plan;
  std::int32_t begin, end;

  template <typename Writer>
  void with_writer() const {
    // Where more rows of the output than may be held at a time take the same rows of the source, few at a time.
    const bool many = plan.y[0].active > kMostActive || plan.y[1].active > kMostActive;
    const std::int32_t step = many ? kMostActive : end - begin;
    for (std::int32_t y = begin; y < end; y += step) run<Writer>(y, y + step < end ? y + step : end);
  }

  template <typename Writer>
  void run(std::int32_t first, std::int32_t last) const {
    const int planes = plane_count(plan.source.format);
    PlaneSums<V> sums[3] = {
        {plan, 0, first, last}, {plan, planes > 1 ? 1 : 0, first, last}, {plan, planes > 2 ? 2 : 0, first, last}};
    for (std::int32_t i = 0; i < last - first; ++i) {
      for (int plane = 0; plane < planes; ++plane) sums[plane].sample(i);
      write_sampled_row<V, Writer>(plan, rows_rise(plan) ? first + i : last - 1 - i);
    }
  }
};

// How many rows of the output at most have to be held at a time, while those before them are not complete.
inline std::int32_t most_active(const AxisTable& axis, bool rising) {
  const std::int32_t count = axis.end - axis.begin;
  const auto first_row = [&](std::int32_t i) { return axis.start[rising ? axis.begin + i : axis.end - 1 - i]; };
  std::int32_t most = 0;
  for (std::int32_t i = 0, next = 0; i < count; ++i) {
    while (next < count && first_row(next) < first_row(i) + axis.taps + kRowsAtOnce - 1) ++next;
    most = next - i > most ? next - i : most;
  }
  return most;
}

template <typename V>
void prepare_taps_of(PreprocessPlan* plan) {
  for (int table = 0; table < (is_yuv(plan->source.format) ? 2 : 1); ++table) {
    fill_strands<V>(&plan->x[table], plan->source.planes[table].channels);
    plan->y[table].active = most_active(plan->y[table], rows_rise(*plan));
  }
}

template <typename V>
void taps_rows_of(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  run_with_writer<V>(plan.out, TapsRows<V>{plan, begin, end});
}

}  // namespace
}  // namespace handpose
