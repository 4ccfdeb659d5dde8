// The card form. A card number never leaves the browser: a test card becomes the name of Stripe's test payment method.
"use strict";

const cards = [...document.querySelectorAll("[data-card]")];
const TOKENS = new Map(cards.map((card) => [card.dataset.card.replace(/\D/g, ""), card.dataset.token]));

const form = document.getElementById("card-form");
const number = document.getElementById("number");
const expiry = document.getElementById("expiry");
const cvc = document.getElementById("cvc");
const pay = document.getElementById("pay");
const complaint = document.getElementById("script-error");
const label = pay.textContent;
const digits = (field) => field.value.replace(/\D/g, "");

form.hidden = false;
document.getElementById("error")?.focus();

function complain(message, field) {
  complaint.textContent = message;
  complaint.hidden = false;
  for (const each of [number, expiry, cvc]) each.setAttribute("aria-invalid", String(each === field));
  field.focus();
}

number.addEventListener("input", () => {
  number.value = digits(number).slice(0, 16).replace(/(\d{4})(?=\d)/g, "$1 ");
});

expiry.addEventListener("input", (event) => {
  const typed = digits(expiry).slice(0, 4);
  const erasing = event.inputType === "deleteContentBackward";
  expiry.value = typed.length > 2 || (typed.length === 2 && !erasing) ? `${typed.slice(0, 2)} / ${typed.slice(2)}` : typed;
});

function inTheFuture(monthAndYear) {
  const month = Number(monthAndYear.slice(0, 2));
  const end = new Date(2000 + Number(monthAndYear.slice(2)), month, 1);
  return monthAndYear.length === 4 && month >= 1 && month <= 12 && end > new Date();
}

form.addEventListener("submit", (event) => {
  const token = TOKENS.get(digits(number));
  if (!token) {
    event.preventDefault();
    complain("Use one of the test cards listed below: 4242 4242 4242 4242 pays.", number);
  } else if (!inTheFuture(digits(expiry))) {
    event.preventDefault();
    complain("The card's expiry date must be a month in the future.", expiry);
  } else if (digits(cvc).length < 3) {
    event.preventDefault();
    complain("The CVC has three digits; any three will do.", cvc);
  } else {
    document.getElementById("payment_method").value = token;
    pay.disabled = true;
    pay.textContent = "Processing…";
  }
});

// Coming back with the browser's Back button shows the page as it was left: let it be used again.
window.addEventListener("pageshow", () => {
  pay.disabled = false;
  pay.textContent = label;
});

for (const card of cards) {
  card.addEventListener("click", () => {
    number.value = card.dataset.card;
    expiry.value = "12 / 40";
    cvc.value = "123";
    complaint.hidden = true;
    pay.focus();
  });
}

const countdown = document.getElementById("deadline");
const deadline = Number(countdown.dataset.deadline) * 1000;

function tick() {
  const left = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
  if (left === 0) {
    countdown.textContent = "The time to pay is over.";
    pay.disabled = true;
    return;
  }
  const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const two = (value) => String(value).padStart(2, "0");
  countdown.textContent = `Pay within ${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds)}`;
  setTimeout(tick, 1000 - (Date.now() % 1000));
}
tick();
