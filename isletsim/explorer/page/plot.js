// Plots: uPlot with the visual language of the command line's figures. A plot is made once and redrawn in place.

const LIGHT = { ink: "#000000", grey: "#595959", pale: "#8a8a8a", grid: "#e6e8eb", back: "#ffffff", arms: ["#000000", "#0072B2", "#B34700", "#00734F", "#A3447A", "#8a6100", "#2b7fb0"], pin: "#B34700" };
const DARK = { ink: "#f4f4f4", grey: "#b5bbc4", pale: "#8b93a0", grid: "#2b3340", back: "#171c24", arms: ["#f4f4f4", "#56B4E9", "#F0934E", "#2EC4A0", "#E39AC6", "#E6B93F", "#9AD0F5"], pin: "#F0934E" };
// Paul Tol's muted colours, in an order in which neighbours differ in lightness.
const AREAS = ["#332288", "#88CCEE", "#117733", "#DDCC77", "#CC6677", "#44AA99", "#882255", "#999933", "#AA4499", "#7f8894"];
const DASHES = [[], [9, 3], [3, 2], [9, 3, 2, 3], [1, 2], [14, 4], [6, 2, 1, 2]];

export const dark = () => document.documentElement.dataset.theme === "dark";
export const look = () => (dark() ? DARK : LIGHT);
export const dash = (rank) => DASHES[rank % DASHES.length];
export const area = (rank) => AREAS[rank % AREAS.length];
export const pretty = (value, digits = 3) => {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1).replace("e", "×10^").replace("+", "");
  return Number(value.toPrecision(size >= 100 ? Math.max(digits, String(Math.round(size)).length) : digits)).toString();
};

export const plural = (value, unit) => (/^(day|week|month|year|hour)$/.test(unit) && value !== 1 ? `${unit}s` : unit);
export const signed = (value) => pretty(value).replace("-", "\u2212");

const HEIGHT = 190;
const sync = uPlot.sync("isletsim");
const plots = new Set();
const watcher = new ResizeObserver((entries) => entries.forEach(({ target, contentRect }) => {
  const plot = target.plot;
  if (plot && contentRect.width > 50 && Math.abs(plot.u.width - contentRect.width) > 1) plot.u.setSize({ width: Math.floor(contentRect.width), height: plot.height });
}));

export class Plot {
  // spec of draw(): { x, lines: [{label, values, colour, dash, width, band}], thresholds, ticks, areas }
  constructor(holder, { time = "years", height = HEIGHT, linked = true, onCursor } = {}) {
    this.holder = holder; this.height = height; this.time = time; this.onCursor = onCursor; this.linked = linked;
    this.extra = { thresholds: [], ticks: [], bands: [], areas: null };
    this.shape = "";
    plots.add(this);
    holder.plot = this;
    watcher.observe(holder);
  }

  draw(spec) {
    this.spec = spec;
    const shape = JSON.stringify([spec.lines.map((line) => [line.colour, line.dash, line.width, line.points]), dark(), spec.areas ? spec.areas.colours : 0]);
    this.extra = { thresholds: spec.thresholds || [], ticks: spec.ticks || [], bands: spec.lines.map((line) => line.band && { ...line.band, colour: line.colour }).filter(Boolean), areas: spec.areas };
    const data = [spec.x, ...spec.lines.map((line) => line.values)];
    if (this.u && shape === this.shape) this.u.setData(data);
    else { this.make(data, spec); this.shape = shape; }
    this.holder.setAttribute("aria-label", spec.summary || "");
  }

  make(data, spec) {
    if (this.u) this.u.destroy();
    const c = look(), font = "12px system-ui, sans-serif";
    const axis = { stroke: c.grey, grid: { stroke: c.grid, width: 1 }, ticks: { stroke: c.grid, size: 4 }, font, labelFont: font };
    this.u = new uPlot({
      width: Math.max(120, Math.floor(this.holder.clientWidth) || 300), height: this.height,
      padding: [10, 22, 0, 0],
      legend: { show: false },
      cursor: { sync: this.linked ? { key: sync.key, setSeries: false } : undefined, drag: { x: false, y: false }, points: { size: 7 }, focus: { prox: 20 } },
      scales: { x: { time: false }, y: { range: (u, low, high) => this.range(low, high) } },
      axes: [
        { ...axis, size: 28, space: 44, splits: (u, i, low, high, space) => this.splits(low, high, u.bbox.width / (devicePixelRatio || 1)), values: (u, ticks) => this.labels(ticks) },
        { ...axis, size: 48, space: 28, values: (u, ticks) => ticks.map((tick) => pretty(tick)) },
      ],
      series: [{}, ...spec.lines.map((line) => ({ stroke: line.colour, width: line.width || 2, dash: line.dash, spanGaps: true, points: { show: !!line.points, size: 6, fill: line.colour } }))],
      hooks: {
        drawClear: [(u) => this.under(u)],
        draw: [(u) => this.over(u)],
        setCursor: [(u) => this.onCursor && this.onCursor(u.cursor.idx)],
      },
    }, data, this.holder);
  }

  // Years are read in months where there are few of them, and a day in hours.
  splits(low, high, width) {
    const span = high - low, months = this.time === "years" && span <= 2.5;
    const short = [[1.5, 8766, [0.25, 0.5, 1, 2, 3, 6, 12]], [60, 365.25, [1, 2, 5, 7, 10, 14]]].find(([most]) => span * 365.25 <= most);
    const steps = this.time === "years" && short ? short[2].map((each) => each / short[1]) : this.time === "hours" ? [3, 6, 12] : this.time === "years" ? (months ? [1, 2, 3, 6, 12].map((each) => each / 12) : [1, 2, 5, 10]) : [1, 2, 5, 10, 15, 20, 30, 60, 120, 240];
    const step = steps.find((each) => (span / each) * 42 <= width) || steps[steps.length - 1];
    const found = [];
    for (let at = Math.ceil(low / step - 1e-6) * step; at <= high + 0.02 * step; at += step) found.push(at);
    return found;
  }

  labels(ticks) {
    const gap = ticks.length > 1 ? ticks[1] - ticks[0] : 1, months = this.time === "years" && gap < 0.99;
    if (months && gap < 0.08) {
      const hourly = gap * 365.25 < 0.99;
      return ticks.map((tick, i) => pretty(Math.round(tick * (hourly ? 8766 : 365.25) * 100) / 100) + (i === ticks.length - 1 ? (hourly ? " h" : " d") : ""));
    }
    const unit = this.time === "hours" ? " h" : this.time === "minutes" ? " min" : months ? " mo" : " y";
    return ticks.map((tick, i) => pretty(months ? Math.round(12 * tick) : Math.round(100 * tick) / 100) + (i === ticks.length - 1 ? unit : ""));
  }

  range(low, high) {
    if (this.extra.areas) { const { low: l, high: h } = this.extra.areas; const m = 0.06 * (h - l || 1); return [l - m, h + m]; }
    for (const band of this.extra.bands) { low = Math.min(low, ...band.low.filter(Number.isFinite)); high = Math.max(high, ...band.high.filter(Number.isFinite)); }
    if (low === null || !Number.isFinite(low)) return [0, 1];
    const near = Math.max(0.3 * (high - low), 0.1 * Math.max(Math.abs(low), Math.abs(high)));
    for (const each of this.extra.thresholds) if (each.value >= low - near && each.value <= high + near) { low = Math.min(low, each.value); high = Math.max(high, each.value); }
    if (low > 0 && low < 0.4 * high) low = 0;
    const least = 0.02 * Math.max(Math.abs(low), Math.abs(high)) || 0.5;
    if (high - low < least) { const middle = (low + high) / 2; low = middle - least; high = middle + least; if (middle >= 0 && low < 0) low = 0; }
    const margin = 0.06 * (high - low);
    return [low === 0 ? 0 : low - margin, high + margin];
  }

  path(u, xs, ys) {
    let open = false;
    xs.forEach((x, i) => {
      if (!Number.isFinite(ys[i])) return;
      const px = u.valToPos(x, "x", true), py = u.valToPos(ys[i], "y", true);
      if (open) u.ctx.lineTo(px, py); else u.ctx.moveTo(px, py);
      open = true;
    });
  }

  between(u, x, low, high, colour, alpha) {
    const { ctx } = u;
    ctx.save();
    ctx.beginPath();
    this.path(u, x, high);
    for (let i = x.length - 1; i >= 0; i -= 1) if (Number.isFinite(low[i])) ctx.lineTo(u.valToPos(x[i], "x", true), u.valToPos(low[i], "y", true));
    ctx.closePath();
    ctx.globalAlpha = alpha; ctx.fillStyle = colour; ctx.fill();
    ctx.restore();
  }

  clip(u, act) {
    const { ctx, bbox } = u;
    ctx.save(); ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip(); act(ctx, bbox); ctx.restore();
  }

  under(u) {
    const { areas, bands } = this.extra, x = u.data[0];
    if (!areas && !bands.length) return;
    this.clip(u, () => {
      for (const band of bands) this.between(u, band.x || x, band.low, band.high, band.colour, dark() ? 0.22 : 0.15);
      if (areas) areas.stacks.forEach((stack, i) => this.between(u, x, stack.low, stack.high, areas.colours[i], 0.85));
    });
  }

  over(u) {
    const c = look(), scale = devicePixelRatio || 1;
    this.clip(u, (ctx, box) => {
      ctx.font = `${11 * scale}px system-ui, sans-serif`;
      for (const { value, label } of this.extra.thresholds) {
        if (value < u.scales.y.min || value > u.scales.y.max) continue;
        const y = u.valToPos(value, "y", true);
        ctx.strokeStyle = c.pale; ctx.lineWidth = scale; ctx.setLineDash([2 * scale, 3 * scale]);
        ctx.beginPath(); ctx.moveTo(box.left, y); ctx.lineTo(box.left + box.width, y); ctx.stroke();
        ctx.setLineDash([]); ctx.fillStyle = c.grey; ctx.textAlign = "right";
        ctx.fillText(label, box.left + box.width - 3 * scale, y - 3 * scale);
      }
      this.extra.ticks.forEach(({ times, colour }, row) => {
        ctx.strokeStyle = colour; ctx.lineWidth = 2 * scale;
        const foot = box.top + box.height - row * 7 * scale;
        for (const time of times) { const px = u.valToPos(time, "x", true); ctx.beginPath(); ctx.moveTo(px, foot); ctx.lineTo(px, foot - 6 * scale); ctx.stroke(); }
      });
      if (this.extra.areas) {
        const y = u.valToPos(0, "y", true);
        ctx.strokeStyle = c.ink; ctx.lineWidth = scale; ctx.beginPath(); ctx.moveTo(box.left, y); ctx.lineTo(box.left + box.width, y); ctx.stroke();
      }
    });
  }

  remove() { plots.delete(this); watcher.unobserve(this.holder); if (this.u) this.u.destroy(); }
}

export function redrawAll() { for (const plot of plots) if (plot.spec && plot.holder.isConnected && plot.restyle) plot.restyle(); }

// Stacked areas: what adds above zero, what takes below it.
export function stacked(terms) {
  const length = terms.length ? terms[0].values.length : 0;
  const up = new Array(length).fill(0), down = new Array(length).fill(0), net = new Array(length).fill(0), stacks = [];
  for (const { values } of terms) {
    const low = new Array(length), high = new Array(length);
    for (let i = 0; i < length; i += 1) {
      const value = values[i] || 0;
      net[i] += value;
      if (value >= 0) { low[i] = up[i]; up[i] += value; high[i] = up[i]; } else { high[i] = down[i]; down[i] += value; low[i] = down[i]; }
    }
    stacks.push({ low, high });
  }
  return { stacks, net, low: Math.min(0, ...down), high: Math.max(0, ...up) };
}
